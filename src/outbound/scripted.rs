//! [`Scripted`]: an [`Authenticator`] that plays a bank from a script, for tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::outbound::Failed;
use crate::outbound::authenticator::Authenticator;
use crate::wire::bank::{Identified, Identify, Prompt};

/// A bank with a list of users, which writes down what it is asked to show.
#[derive(Debug, Default)]
pub struct Scripted(Mutex<Script>);

#[derive(Debug, Default)]
struct Script {
    users: HashMap<String, Identified>,
    codes: HashMap<String, String>,
    silent: bool,
    unreachable: bool,
    broken: bool,
    slow: Option<Arc<Notify>>,
    asked: Arc<Notify>,
    prompts: Vec<serde_json::Value>,
}

impl Scripted {
    /// From now on `hint` means `answer`.
    pub fn knows(&self, hint: &str, answer: Identified) {
        self.script().users.insert(hint.to_owned(), answer);
    }

    /// From now on whoever means `hint` has to know `code`.
    pub fn asks_for(&self, hint: &str, code: &str) {
        self.script().codes.insert(hint.to_owned(), code.to_owned());
    }

    /// From now on the bank does not answer, or does again.
    pub fn silent(&self, silent: bool) {
        self.script().silent = silent;
    }

    /// From now on the bank answers, and does not take charge of prompts; or does again.
    pub fn unreachable(&self, unreachable: bool) {
        self.script().unreachable = unreachable;
    }

    /// From now on whoever asks who is who panics.
    pub fn broken(&self) {
        self.script().broken = true;
    }

    /// From now on the bank says who is who only once it is told to.
    pub fn slow(&self) -> Arc<Notify> {
        self.script().slow.get_or_insert_default().clone()
    }

    /// Told when the bank is asked who is who.
    pub fn asked(&self) -> Arc<Notify> {
        self.script().asked.clone()
    }

    /// Everything it was asked to show so far.
    pub fn prompts(&self) -> Vec<serde_json::Value> {
        self.script().prompts.clone()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Authenticator for Scripted {
    async fn identify(&self, question: &Identify<'_>) -> Result<Identified, Failed> {
        self.asked().notify_one();
        let slow = self.script().slow.clone();
        if let Some(told) = slow {
            told.notified().await;
        }
        let script = self.script();
        assert!(!script.broken, "the script says to panic");
        if script.silent {
            return Err(Failed("the script says to be silent"));
        }
        match (script.codes.get(question.hint), question.user_code) {
            (Some(_), None) if question.user_code_possible => return Ok(Identified::MissingUserCode {}),
            (Some(right), Some(code)) if right != code => return Ok(Identified::InvalidUserCode {}),
            _ => {}
        }
        Ok(script.users.get(question.hint).cloned().unwrap_or(Identified::Unknown {}))
    }

    async fn prompt(&self, prompt: &Prompt<'_>) -> Result<(), Failed> {
        let mut script = self.script();
        if script.silent {
            return Err(Failed("the script says to be silent"));
        }
        let shown = serde_json::to_value(prompt).map_err(|_| Failed("the prompt is not JSON"))?;
        script.prompts.push(shown);
        if script.unreachable { Err(Failed("the script says to lose prompts")) } else { Ok(()) }
    }
}
