//! [`Keyboard`]: you, when you hold the phone: y or n, and Enter. The end of the input counts as no.

use std::io::IsTerminal;
use std::thread;

use tokio::sync::mpsc;

use crate::bank::Verdict;
use crate::story::Story;

/// The lines that are typed.
pub(crate) struct Keyboard {
    lines: mpsc::Receiver<String>,
    terminal: bool,
}

impl Keyboard {
    /// Starts to read. The thread is never joined: it sits in a read that only a key can end.
    pub(crate) fn open() -> Self {
        let (typed, lines) = mpsc::channel(16);
        thread::spawn(move || {
            let read = std::io::stdin().lines().map_while(Result::ok);
            read.take_while(|line| typed.blocking_send(line.clone()).is_ok()).for_each(drop);
        });
        Self { lines, terminal: std::io::stdin().is_terminal() }
    }

    /// Asks about `what` until there is a yes or a no.
    pub(crate) async fn verdict(&mut self, what: &str, story: &Story) -> Verdict {
        let question = format!("Approve \"{what}\"? Type y or n, then Enter:");
        // Whatever was typed at a terminal before there was anything to read on the screen answers nothing.
        while self.terminal && self.lines.try_recv().is_ok() {}
        loop {
            story.ask(&question);
            let Some(line) = self.lines.recv().await else {
                story.answered(Some("no (end of input)"));
                return Verdict::Deny;
            };
            story.answered(if self.terminal { None } else { Some(&line) });
            match line.trim().to_ascii_lowercase().as_str() {
                "y" | "yes" => return Verdict::Approve,
                "n" | "no" => return Verdict::Deny,
                _ => {}
            }
        }
    }
}
