//! [`Story`]: what the audience reads. Coloured on a terminal, plain in a pipe, and one speaker at a time.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::message::{Colour, INDENT, Ink, Message, NAME, Role, WIDTH, plain, wrap};

/// What comes of a step. An error ends the story.
pub(crate) type Told<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long `--slow` stands still after each step. The server gives the bank five seconds to answer, and the bank pauses once in each answer.
const PAUSE: Duration = Duration::from_secs(3);

/// The storyteller. Everyone on the stage has a copy.
#[derive(Clone)]
pub(crate) struct Story(Arc<Teller>);

struct Teller {
    ink: Ink,
    slow: bool,
    /// What the phone has asked and nobody has answered yet. Whoever speaks meanwhile has it repeated after them.
    question: Mutex<Option<String>>,
}

impl Story {
    pub(crate) fn new(slow: bool) -> Self {
        #[expect(clippy::disallowed_methods, reason = "NO_COLOR is where people say so, and this is an example")]
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let ink = Ink(std::io::stdout().is_terminal() && !plain);
        Self(Arc::new(Teller { ink, slow, question: Mutex::new(None) }))
    }

    /// Heads a part of the story.
    pub(crate) fn chapter(&self, title: &str) {
        let rule = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 4));
        let (title, rule) = (self.0.ink.paint(Colour::Bold, title), self.0.ink.paint(Colour::Dim, &rule));
        self.print([format!("── {title} {rule}")]);
    }

    /// Explains, to whoever reads this for the first time.
    pub(crate) fn tell(&self, text: &str) {
        self.print(wrap(&plain(text), WIDTH - 4).iter().map(|line| format!("  {line}")));
    }

    /// One thing a line, and what it is.
    pub(crate) fn list(&self, entries: &[(&str, &str)]) {
        let column = entries.iter().map(|(thing, _)| thing.chars().count()).max().unwrap_or_default();
        self.print(entries.iter().map(|(thing, what)| format!("  {thing:column$}   {what}")));
    }

    /// Puts messages on the page, with nobody else's between them.
    pub(crate) fn say(&self, messages: &[Message]) {
        self.print(messages.iter().flat_map(|message| message.render(self.0.ink)));
    }

    /// What `role` is, does or thinks by itself.
    pub(crate) fn note(&self, role: Role, text: &str) {
        self.notes(&[(role, text)]);
    }

    /// Several of these.
    pub(crate) fn notes(&self, notes: &[(Role, &str)]) {
        let mut page = Vec::new();
        for (role, text) in notes {
            let mut name = format!("{:>NAME$}", role.name());
            for line in wrap(&plain(text), WIDTH - NAME - 3) {
                page.push(format!("{}   {line}", self.0.ink.paint(role.colour(), &name)));
                name = " ".repeat(NAME);
            }
        }
        self.print(page);
    }

    /// A phone's screen.
    pub(crate) fn screen(&self, lines: &[String]) {
        let lines: Vec<String> = lines.iter().map(|line| plain(line)).collect();
        let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
        let frame = |text: &str| self.0.ink.paint(Role::Phone.colour(), text);
        let (edge, side) = ("─".repeat(width + 2), frame("│"));
        let mut page = vec![frame(&format!("╭{edge}╮"))];
        page.extend(lines.iter().map(|line| format!("{side} {line:width$} {side}")));
        page.push(frame(&format!("╰{edge}╯")));
        self.print(page.iter().map(|line| format!("{:INDENT$}{line}", "")));
    }

    /// Asks whoever sits at the terminal, and leaves the cursor there.
    pub(crate) fn ask(&self, question: &str) {
        let question = format!("{:INDENT$}{} ", "", self.0.ink.paint(Colour::Bold, &plain(question)));
        *self.question() = Some(question);
        self.write("");
    }

    /// The question is answered or overtaken. `unseen` is what a terminal has not shown while it was typed, and the line's end with it.
    pub(crate) fn answered(&self, unseen: Option<&str>) {
        *self.question() = None;
        self.write(&unseen.map_or_else(|| "\n".to_owned(), |text| format!("{}\n\n", plain(text))));
    }

    /// Time to read, with `--slow`.
    pub(crate) async fn pause(&self) {
        if self.0.slow {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn question(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.question.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A paragraph.
    fn print(&self, lines: impl IntoIterator<Item = String>) {
        let lines: Vec<String> = lines.into_iter().collect();
        self.write(&(lines.join("\n") + "\n\n"));
    }

    /// A reader who has gone away (`| head`) is no reason to stop: the story is told to its end.
    fn write(&self, page: &str) {
        let question = self.question();
        let (mut before, mut after) = ("", "");
        if let Some(question) = &*question {
            before = if page.is_empty() { "" } else { "\n\n" };
            after = question;
        }
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "{before}{page}{after}").and_then(|()| out.flush());
    }
}
