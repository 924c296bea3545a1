//! [`Open`]: the requests that people were asked about and have not decided yet, none longer than it is good for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use countersign::clock::Timestamp;

use crate::bank::users::User;

/// More than anybody looks at. Those that end first make room.
const MOST: usize = 10_000;

/// A prompt on somebody's phone (deploy/bank.md).
#[derive(Clone, Debug)]
pub(super) struct Prompt {
    pub(super) user: User,
    pub(super) client_name: String,
    pub(super) binding_message: String,
    pub(super) scope: String,
    pub(super) until: Timestamp,
}

/// All of them, by their `auth_req_id`.
#[derive(Default)]
pub(super) struct Open(Mutex<HashMap<String, Prompt>>);

impl Open {
    /// Shows a prompt.
    pub(super) fn show(&self, auth_req_id: String, prompt: Prompt, now: Timestamp) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, prompt| now < prompt.until);
        if open.len() >= MOST
            && let Some(first) = open.iter().min_by_key(|(_, prompt)| prompt.until).map(|(id, _)| id.clone())
        {
            open.remove(&first);
        }
        open.insert(auth_req_id, prompt);
    }

    /// The prompt of that request, if there is one still.
    pub(super) fn of(&self, auth_req_id: &str, now: Timestamp) -> Option<Prompt> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(auth_req_id).filter(|prompt| now < prompt.until).cloned()
    }

    /// Takes it off the screen.
    pub(super) fn close(&self, auth_req_id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(auth_req_id);
    }

    /// All that are shown now, those that end first in front.
    pub(super) fn shown(&self, now: Timestamp) -> Vec<(String, Prompt)> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown: Vec<_> = open.iter().map(|(id, prompt)| (id.clone(), prompt.clone())).collect();
        shown.retain(|(_, prompt)| now < prompt.until);
        shown.sort_by_key(|(_, prompt)| prompt.until);
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(until: i64) -> Prompt {
        Prompt {
            user: User::called("alice").expect("she banks here"),
            client_name: "till".into(),
            binding_message: "42".into(),
            scope: "openid".into(),
            until: Timestamp::from_seconds(until),
        }
    }

    #[test]
    fn a_prompt_is_gone_when_it_ends_and_the_first_to_end_makes_room() {
        let open = Open::default();
        open.show("brief".into(), prompt(10), Timestamp::from_seconds(0));
        for at in 0..MOST {
            open.show(at.to_string(), prompt(20), Timestamp::from_seconds(1));
        }
        assert!(open.of("brief", Timestamp::from_seconds(1)).is_none(), "it made room");
        assert_eq!(open.shown(Timestamp::from_seconds(1)).len(), MOST);
        assert!(open.of("7", Timestamp::from_seconds(19)).is_some());
        assert!(open.of("7", Timestamp::from_seconds(20)).is_none());
        assert!(open.shown(Timestamp::from_seconds(20)).is_empty());
        open.close("8");
        assert!(open.of("8", Timestamp::from_seconds(19)).is_none());
    }
}
