//! [`Plan`]: one of the sixteen plans of the suite that this server is held to.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

/// The suite's own name for all of them.
pub(crate) const NAME: &str = "fapi-ciba-id1-test-plan";

/// The rules of which ecosystem (`fapi_ciba_profile`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ecosystem {
    /// FAPI-CIBA and nothing else.
    Plain,
    /// Open Banking UK: consents first, with a token of the client's own.
    OpenBankingUk,
}

impl Ecosystem {
    /// The profile that a server has for it.
    pub(crate) const fn profile(self) -> &'static str {
        match self {
            Self::Plain => "fapi-ciba-id1",
            Self::OpenBankingUk => "open-banking-uk",
        }
    }
}

/// How a client learns the outcome (`ciba_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// It asks.
    Poll,
    /// It is told.
    Ping,
}

/// How a client authenticates (`client_auth_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Auth {
    /// With a signed assertion.
    PrivateKeyJwt,
    /// With its certificate.
    Mtls,
}

/// How a client came to be known (`client_registration`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Registration {
    /// In the server's configuration.
    Static,
    /// At its registration endpoint, anew for every module.
    Dynamic,
}

/// One plan. Written as in `plain-poll-pkj-static`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    pub(crate) ecosystem: Ecosystem,
    pub(crate) mode: Mode,
    pub(crate) auth: Auth,
    pub(crate) registration: Registration,
}

/// A plan that was asked for by name, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// `all`.
    All,
    /// A plan.
    One(Plan),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}

impl Plan {
    /// All sixteen, plain ones first.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for (ecosystem, _, _) in ECOSYSTEMS {
            for (mode, _) in MODES {
                for (auth, _, _) in AUTHS {
                    for (registration, _, _) in REGISTRATIONS {
                        all.push(Self { ecosystem, mode, auth, registration });
                    }
                }
            }
        }
        all
    }

    /// Those that were chosen, in the order of [`Plan::all`].
    pub(crate) fn chosen(choices: &[Choice]) -> Vec<Self> {
        let chosen =
            |plan: &Self| choices.iter().any(|choice| matches!(choice, Choice::All) || *choice == Choice::One(*plan));
        Self::all().into_iter().filter(chosen).collect()
    }

    /// What the suite calls it, beside [`NAME`].
    pub(crate) fn variant(self) -> Value {
        json!({
            "fapi_ciba_profile": word(ECOSYSTEMS.map(|(it, _, name)| (it, name)), &self.ecosystem),
            "ciba_mode": word(MODES, &self.mode),
            "client_auth_type": word(AUTHS.map(|(it, _, name)| (it, name)), &self.auth),
            "client_registration": word(REGISTRATIONS.map(|(it, _, name)| (it, name)), &self.registration),
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ecosystem = word(ECOSYSTEMS.map(|(it, short, _)| (it, short)), &self.ecosystem);
        let auth = word(AUTHS.map(|(it, short, _)| (it, short)), &self.auth);
        let registration = word(REGISTRATIONS.map(|(it, short, _)| (it, short)), &self.registration);
        write!(f, "{ecosystem}-{}-{auth}-{registration}", word(MODES, &self.mode))
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().into_iter().find(|plan| plan.to_string() == text).ok_or_else(|| {
            "there is no such plan; they are {plain|uk}-{poll|ping}-{pkj|mtls}-{static|dynamic}".to_owned()
        })
    }
}

const ECOSYSTEMS: [(Ecosystem, &str, &str); 2] =
    [(Ecosystem::Plain, "plain", "plain_fapi"), (Ecosystem::OpenBankingUk, "uk", "openbanking_uk")];
const MODES: [(Mode, &str); 2] = [(Mode::Poll, "poll"), (Mode::Ping, "ping")];
const AUTHS: [(Auth, &str, &str); 2] = [(Auth::PrivateKeyJwt, "pkj", "private_key_jwt"), (Auth::Mtls, "mtls", "mtls")];
const REGISTRATIONS: [(Registration, &str, &str); 2] =
    [(Registration::Static, "static", "static_client"), (Registration::Dynamic, "dynamic", "dynamic_client")];

fn word<T: PartialEq + Copy>(words: impl IntoIterator<Item = (T, &'static str)>, wanted: &T) -> &'static str {
    words.into_iter().find(|(it, _)| it == wanted).map(|(_, word)| word).expect("every one has a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_sixteen_plans_and_each_is_read_as_it_is_written() {
        let all = Plan::all();
        assert_eq!(all.len(), 16);
        for plan in &all {
            assert_eq!(plan.to_string().parse(), Ok(*plan));
        }
        assert_eq!(all[0].to_string(), "plain-poll-pkj-static");
        assert_eq!(all[15].to_string(), "uk-ping-mtls-dynamic");
        assert!("plain-push-pkj-static".parse::<Plan>().is_err());
    }

    #[test]
    fn the_suite_is_told_each_in_its_own_words() {
        let plan: Plan = "uk-ping-mtls-dynamic".parse().expect("it is one");
        let variant = json!({"fapi_ciba_profile": "openbanking_uk", "ciba_mode": "ping", "client_auth_type": "mtls", "client_registration": "dynamic_client"});
        assert_eq!(plan.variant(), variant);
    }
}
