//! The floor: the weakest profile this binary will load, one clause a line. FAPI-CIBA-ID1 and what it pulls in.

use std::fmt;

use crate::jose::alg::Alg;
use crate::profile::backchannel::HINTS;
use crate::profile::scope::is_scope_token;
use crate::profile::{BoundBy, Data, DeliveryMode, Method};

/// One way in which a profile file is weaker than FAPI-CIBA-ID1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undercut {
    /// The clause it would break.
    pub clause: &'static str,
    /// What to change, in words.
    pub says: String,
}

impl fmt::Display for Undercut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.says, self.clause)
    }
}

/// One clause.
struct Clause {
    id: &'static str,
    says: &'static str,
    holds: fn(&Data) -> bool,
}

/// What a profile may not loosen.
const FLOOR: &[Clause] = &[
    Clause {
        id: "FAPI1A-8.6",
        says: "algorithms: PS256 and ES256 are the only ones, and there has to be one",
        holds: |p| some(&p.algorithms, |name| Alg::parse(name).is_some()),
    },
    Clause {
        id: "FAPI1A-5.2.2-14",
        says: "client_authentication.methods: private_key_jwt, tls_client_auth and self_signed_tls_client_auth are the only ones",
        holds: |p| some(&p.client_authentication.methods, |name| Method::parse(name).is_some()),
    },
    Clause {
        id: "RFC7523-3-4",
        says: "client_authentication.longest_assertion: at most 600",
        holds: |p| p.client_authentication.longest_assertion <= 600,
    },
    Clause {
        id: "FAPICIBA-5.2.2-9",
        says: "request_object.longest_lifetime: at most 3600",
        holds: |p| p.request_object.longest_lifetime <= 3600,
    },
    Clause {
        id: "FAPI1A-5.2.2-17",
        says: "request_object.oldest: at most 3600",
        holds: |p| p.request_object.oldest <= 3600,
    },
    Clause {
        id: "FAPI2-5.3.2.1-6",
        says: "clock.leeway: from 10 to 60",
        holds: |p| (10..=60).contains(&p.clock.leeway),
    },
    Clause {
        id: "FAPICIBA-5.2.2-3",
        says: "authentication_request.delivery_modes: poll and ping are the only ones; push is forbidden",
        holds: |p| p.authentication_request.delivery_modes.iter().all(|name| DeliveryMode::parse(name).is_some()),
    },
    Clause {
        id: "FAPICIBA-5.2.2-4",
        says: "authentication_request.delivery_modes: poll has to be there",
        holds: |p| p.authentication_request.delivery_modes.iter().any(|name| name == "poll"),
    },
    Clause {
        id: "CIBA-7.1",
        says: "authentication_request.hints: login_hint, id_token_hint and login_hint_token are the only ones, and there has to be one",
        holds: |p| some(&p.authentication_request.hints, |name| HINTS.contains(&name)),
    },
    Clause {
        id: "FAPICIBA-5.2.2-2",
        says: "authentication_request.binding_message_required: true, as nothing else makes a request unique yet",
        holds: |p| p.authentication_request.binding_message_required,
    },
    Clause {
        id: "CIBA-7.1-30",
        says: "authentication_request.longest_binding_message: at most 300",
        holds: |p| p.authentication_request.longest_binding_message <= 300,
    },
    Clause {
        id: "CIBA-7.3-4",
        says: "authentication_request.longest_expiry: at most 3600",
        holds: |p| p.authentication_request.longest_expiry <= 3600,
    },
    Clause {
        id: "CIBA-7.1-23",
        says: "authentication_request.oldest_id_token_hint: at most 31536000",
        holds: |p| p.authentication_request.oldest_id_token_hint <= 31_536_000,
    },
    Clause {
        id: "CIBA-7.1-20",
        says: "authentication_request.longest_login_hint_token: at most 600",
        holds: |p| p.authentication_request.longest_login_hint_token <= 600,
    },
    Clause {
        id: "FAPI1A-5.2.2-5",
        says: "sender_constraint.methods: certificate and dpop are the only ones, and there has to be one",
        holds: |p| some(&p.sender_constraint.methods, |name| BoundBy::parse(name).is_some()),
    },
    Clause {
        id: "FAPI1B-5.2.2-21",
        says: "access_token.lifetime: at most 600",
        holds: |p| p.access_token.lifetime <= 600,
    },
    Clause { id: "OIDC-2", says: "id_token.lifetime: at most 3600", holds: |p| p.id_token.lifetime <= 3600 },
    Clause {
        id: "OAUTH-6-lifetime",
        says: "refresh_token.lifetime: at most 31536000",
        holds: |p| p.refresh_token.lifetime <= 31_536_000,
    },
    Clause {
        id: "OAUTH-4.4-scopes",
        says: "client_credentials.scopes: words of RFC 6749 3.3, at least one, and openid is never among them, as there is nobody to speak of",
        holds: |p| {
            let own = p.client_credentials.as_ref();
            own.is_none_or(|own| some(&own.scopes, |scope| is_scope_token(scope) && scope != "openid"))
        },
    },
];

/// What a profile needs to be of any use. No clause asks for it: with less, nobody would get a token.
const WORKABLE: &[Clause] = &[
    Clause {
        id: "too tight",
        says: "client_authentication.longest_assertion: at least 10",
        holds: |p| p.client_authentication.longest_assertion >= 10,
    },
    Clause {
        id: "too tight",
        says: "request_object.longest_lifetime and request_object.oldest: at least 10",
        holds: |p| p.request_object.longest_lifetime >= 10 && p.request_object.oldest >= 10,
    },
    Clause {
        id: "too tight",
        says: "authentication_request.longest_binding_message: at least 4",
        holds: |p| p.authentication_request.longest_binding_message >= 4,
    },
    Clause {
        id: "too tight",
        says: "authentication_request.default_expiry: at least 10, and at most longest_expiry",
        holds: |p| (10..=p.authentication_request.longest_expiry).contains(&p.authentication_request.default_expiry),
    },
    Clause {
        id: "too tight",
        says: "authentication_request.interval: from 1 to 300",
        holds: |p| (1..=300).contains(&p.authentication_request.interval),
    },
    Clause {
        id: "too tight",
        says: "access_token.lifetime, id_token.lifetime and refresh_token.lifetime: at least 10",
        holds: |p| [&p.access_token, &p.id_token, &p.refresh_token].iter().all(|token| token.lifetime >= 10),
    },
];

/// Every clause that `data` undercuts, in the order of the floor.
pub(super) fn undercut(data: &Data) -> Vec<Undercut> {
    FLOOR
        .iter()
        .chain(WORKABLE)
        .filter(|clause| !(clause.holds)(data))
        .map(|clause| Undercut { clause: clause.id, says: clause.says.to_owned() })
        .collect()
}

fn some(names: &[String], known: impl Fn(&str) -> bool) -> bool {
    !names.is_empty() && names.iter().all(|name| known(name))
}

#[cfg(test)]
mod tests {
    use crate::profile::issuer::Issuer;
    use crate::profile::{FAPI_CIBA_ID1, OPEN_BANKING_UK, Profile};

    const HINTS: &str = r#"hints = ["login_hint", "id_token_hint", "login_hint_token"]"#;

    fn load(text: &str) -> Result<Profile, Vec<super::Undercut>> {
        Profile::load(text, Issuer::at("https://as.example").expect("an issuer"))
    }

    #[test]
    fn the_shipped_profile_loads() {
        assert_eq!(load(FAPI_CIBA_ID1).expect("stands on the floor").rules().name, "fapi-ciba-id1");
    }

    #[test]
    fn each_clause_of_the_floor_refuses_what_undercuts_it() {
        for (from, to, clause) in [
            (r#"algorithms = ["PS256", "ES256"]"#, r#"algorithms = ["PS256", "RS256"]"#, "FAPI1A-8.6"),
            (r#"algorithms = ["PS256", "ES256"]"#, "algorithms = []", "FAPI1A-8.6"),
            (r#"methods = ["private_key_jwt", "#, r#"methods = ["client_secret_basic", "#, "FAPI1A-5.2.2-14"),
            ("longest_assertion = 600", "longest_assertion = 601", "RFC7523-3-4"),
            ("longest_lifetime = 3600", "longest_lifetime = 3601", "FAPICIBA-5.2.2-9"),
            ("oldest = 3600", "oldest = 3601", "FAPI1A-5.2.2-17"),
            ("leeway = 30", "leeway = 61", "FAPI2-5.3.2.1-6"),
            (r#"delivery_modes = ["poll", "ping"]"#, r#"delivery_modes = ["poll", "push"]"#, "FAPICIBA-5.2.2-3"),
            (r#"delivery_modes = ["poll", "ping"]"#, r#"delivery_modes = ["ping"]"#, "FAPICIBA-5.2.2-4"),
            (HINTS, "hints = []", "CIBA-7.1"),
            (HINTS, r#"hints = ["login_hint", "phone"]"#, "CIBA-7.1"),
            ("oldest_id_token_hint = 7776000", "oldest_id_token_hint = 31536001", "CIBA-7.1-23"),
            ("longest_login_hint_token = 300", "longest_login_hint_token = 601", "CIBA-7.1-20"),
            ("[refresh_token]\nlifetime = 7776000", "[refresh_token]\nlifetime = 31536001", "OAUTH-6-lifetime"),
            ("binding_message_required = true", "binding_message_required = false", "FAPICIBA-5.2.2-2"),
            ("longest_binding_message = 64", "longest_binding_message = 301", "CIBA-7.1-30"),
            ("longest_expiry = 600", "longest_expiry = 3601", "CIBA-7.3-4"),
            ("default_expiry = 120", "default_expiry = 601", "too tight"),
            ("interval = 5", "interval = 0", "too tight"),
            ("longest_assertion = 600", "longest_assertion = 9", "too tight"),
            ("longest_lifetime = 3600", "longest_lifetime = 9", "too tight"),
            ("longest_binding_message = 64", "longest_binding_message = 3", "too tight"),
            ("[id_token]\nlifetime = 300", "[id_token]\nlifetime = 9", "too tight"),
            (r#"methods = ["certificate", "dpop"]"#, "methods = []", "FAPI1A-5.2.2-5"),
            (r#"methods = ["certificate", "dpop"]"#, r#"methods = ["bearer"]"#, "FAPI1A-5.2.2-5"),
            (
                "[access_token]\n# FAPI 1.0 part 1 5.2.2-21.\nlifetime = 300",
                "[access_token]\nlifetime = 601",
                "FAPI1B-5.2.2-21",
            ),
            ("[id_token]\nlifetime = 300", "[id_token]\nlifetime = 3601", "OIDC-2"),
        ] {
            let text = FAPI_CIBA_ID1.replace(from, to);
            assert_ne!(text, FAPI_CIBA_ID1, "{from}");
            let undercuts = load(&text).expect_err(to);
            assert_eq!(undercuts.iter().map(|undercut| undercut.clause).collect::<Vec<_>>(), [clause], "{to}");
        }
    }

    #[test]
    fn oauth_4_4_scopes_what_a_client_may_have_in_its_own_name_is_never_openid() {
        let offered = r#"scopes = ["accounts"]"#;
        assert!(load(OPEN_BANKING_UK).expect("stands on the floor").rules().client_credentials.is_some());
        assert!(load(FAPI_CIBA_ID1).expect("stands on the floor").rules().client_credentials.is_none());
        for bad in [r#"["accounts", "openid"]"#, "[]", r#"["two words"]"#, r#"[""]"#] {
            let text = OPEN_BANKING_UK.replace(offered, &format!("scopes = {bad}"));
            assert_ne!(text, OPEN_BANKING_UK);
            let undercuts = load(&text).expect_err(bad);
            assert_eq!(undercuts.iter().map(|undercut| undercut.clause).collect::<Vec<_>>(), ["OAUTH-4.4-scopes"]);
        }
    }

    /// What Open Banking UK adds is all that it changes.
    #[test]
    fn the_profile_of_open_banking_uk_is_the_plain_one_and_more() {
        let rules = |text: &str| {
            let lines =
                text.lines().filter(|line| !line.starts_with('#') && !line.is_empty() && !line.starts_with("name"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let (plain, uk) = (rules(FAPI_CIBA_ID1), rules(OPEN_BANKING_UK));
        assert_eq!(uk[..plain.len()], plain);
        assert_eq!(uk[plain.len()..], ["[client_credentials]", r#"scopes = ["accounts"]"#]);
    }

    #[test]
    fn every_undercut_is_named_at_once_and_tightening_is_welcome() {
        let loose = FAPI_CIBA_ID1.replace("interval = 5", "interval = 0").replace("leeway = 30", "leeway = 600");
        assert_eq!(load(&loose).expect_err("two faults").len(), 2);
        let tight =
            FAPI_CIBA_ID1.replace("lifetime = 300", "lifetime = 60").replace(r#"["PS256", "ES256"]"#, r#"["PS256"]"#);
        assert_eq!(load(&tight).expect("tighter").algorithms().len(), 1);
        assert!(load("name = \"x\"").is_err());
        assert!(load(&format!("surprise = 1\n{FAPI_CIBA_ID1}")).is_err());
    }
}
