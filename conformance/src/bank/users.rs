//! Who banks here. Twenty-two people who decide when they are told to, and three with a mind of their own.

/// What somebody does about a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temper {
    /// Waits until told what to decide.
    WaitsToBeTold,
    /// `always-approves`.
    Approves,
    /// `always-denies`.
    Denies,
    /// `never-answers`, not even when told.
    Ignores,
}

/// Somebody who banks here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// What they call themselves, to a till.
    pub(super) name: String,
    pub(super) temper: Temper,
}

impl User {
    /// Whoever is called that.
    pub(super) fn called(name: &str) -> Option<Self> {
        let temper = match name {
            "alice" | "bob" => Temper::WaitsToBeTold,
            "always-approves" => Temper::Approves,
            "always-denies" => Temper::Denies,
            "never-answers" => Temper::Ignores,
            _ => {
                let number = name.strip_prefix("user-")?;
                let two_digits = number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit());
                let number = number.parse::<u8>().ok().filter(|_| two_digits)?;
                (1..=20).contains(&number).then_some(Temper::WaitsToBeTold)?
            }
        };
        Some(Self { name: name.to_owned(), temper })
    }

    /// Whoever the server knows as `sub`.
    pub(super) fn known_as(sub: &str) -> Option<Self> {
        sub.strip_prefix(SUB).and_then(Self::called)
    }

    /// What the server knows them as: stable, and nothing that a till could say.
    pub(super) fn sub(&self) -> String {
        format!("{SUB}{}", self.name)
    }
}

const SUB: &str = "sandbox-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_five_people_bank_here_and_nobody_else() {
        let mut names: Vec<String> = (1..=20).map(|number| format!("user-{number:02}")).collect();
        names.extend(["alice", "bob", "always-approves", "always-denies", "never-answers"].map(str::to_owned));
        for name in &names {
            let user = User::called(name).expect("they bank here");
            assert_eq!(User::known_as(&user.sub()), Some(user.clone()));
            assert_eq!(User::called(&user.sub()), None, "a till does not say it like that");
        }
        for stranger in ["", "mallory", "user-00", "user-21", "user-1", "user-+1", "user-001", "Alice", "alice "] {
            assert_eq!(User::called(stranger), None, "{stranger}");
        }
        assert_eq!(User::known_as("alice"), None);
    }
}
