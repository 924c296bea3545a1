//! [`Phone`]: alice's, with the bank's app. It shows what it is asked and takes her answer, from a script or from whoever sits at the terminal.
//! How the app and its bank talk to each other is the bank's own affair; here it is a channel in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::{self, Clock};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::bank::{Bank, Prompt, Taken, Verdict};
use crate::keyboard::Keyboard;
use crate::message::{Message, Role};
use crate::story::{Story, Told};

/// How long alice takes to pull out her phone, and to make up her mind.
const REACH: Duration = Duration::from_millis(700);
const THINK: Duration = Duration::from_millis(1_800);

/// The phone.
pub(crate) struct Phone {
    pub(crate) prompts: mpsc::Receiver<Prompt>,
    pub(crate) hand: Hand,
    pub(crate) bank: Arc<Bank>,
    pub(crate) story: Story,
}

/// Who holds it.
pub(crate) enum Hand {
    /// Alice, who does what the script says: one verdict for each request.
    Script(VecDeque<Verdict>),
    /// You.
    Yours(Keyboard),
}

impl Phone {
    /// Shows the next request, waits for a verdict for as long as the request lives, and gives it to the bank.
    pub(crate) async fn attend(&mut self) -> Told<()> {
        let prompt = self.prompts.recv().await.ok_or("the bank has closed")?;
        sleep(REACH).await;
        self.story.screen(&screen(&prompt));
        self.story.pause().await;
        let left = u64::try_from(prompt.expires_at.since(clock::System.now())).unwrap_or_default();
        let Ok(verdict) = timeout(Duration::from_secs(left), self.hand.decide(&prompt, &self.story)).await else {
            self.story.answered(Some(""));
            self.too_late();
            return Ok(());
        };
        let said = match verdict {
            Verdict::Approve => "yes, confirmed with the app's PIN",
            Verdict::Deny => "no",
        };
        self.story.say(&[Message::request((Role::Phone, Role::Bank), said)]);
        match self.bank.decide(&prompt.auth_req_id, verdict).await? {
            Taken::Stored => {}
            Taken::TooLate => self.too_late(),
        }
        Ok(())
    }

    fn too_late(&self) {
        self.story.note(Role::Phone, "Too late: the request has expired, and the app takes it off the screen.");
    }
}

impl Hand {
    async fn decide(&mut self, prompt: &Prompt, story: &Story) -> Verdict {
        match self {
            Self::Script(verdicts) => {
                sleep(THINK).await;
                verdicts.pop_front().unwrap_or(Verdict::Deny)
            }
            Self::Yours(keyboard) => keyboard.verdict(&prompt.binding_message, story).await,
        }
    }
}

/// Everything alice needs to know what she says yes to (CIBA §8): who asks, what for, and the words the till shows too.
fn screen(prompt: &Prompt) -> Vec<String> {
    let mut lines = vec!["Your bank".to_owned(), String::new(), format!("{} asks to", prompt.client_name)];
    lines.extend(prompt.scope.iter().map(|scope| {
        let means = match scope.as_str() {
            "openid" => "know that it is you",
            "accounts" => "see your balance",
            _ => "use",
        };
        format!("  · {means} ({scope})")
    }));
    lines.extend([String::new(), prompt.binding_message.clone()]);
    lines.extend(["Does the till show the same words?".to_owned(), String::new()]);
    lines.push("[ Approve ]   [ Deny ]".to_owned());
    lines
}
