//! [`Message`]: who said what to whom, as lines of at most 100 columns with nothing secret in them.

use serde_json::Value;

use crate::holder::Proof;

/// How wide a page of the story is.
pub(crate) const WIDTH: usize = 100;

/// How wide the longest name is.
pub(crate) const NAME: usize = 11;

/// Where the words of a message begin: after `countersign → countersign` and two spaces.
pub(crate) const INDENT: usize = 27;

/// Whoever takes part.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Till,
    Countersign,
    Bank,
    Phone,
    Thief,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Till => "till",
            Self::Countersign => "countersign",
            Self::Bank => "bank",
            Self::Phone => "phone",
            Self::Thief => "thief",
        }
    }

    pub(crate) const fn colour(self) -> Colour {
        match self {
            Self::Till => Colour::Cyan,
            Self::Countersign => Colour::Magenta,
            Self::Bank => Colour::Blue,
            Self::Phone => Colour::Green,
            Self::Thief => Colour::Red,
        }
    }
}

/// What a terminal can do to a word.
#[derive(Clone, Copy)]
pub(crate) enum Colour {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
}

/// Whether there are colours at all.
#[derive(Clone, Copy)]
pub(crate) struct Ink(pub(crate) bool);

impl Ink {
    pub(crate) fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Bold => 1,
            Colour::Dim => 2,
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Blue => 34,
            Colour::Magenta => 35,
            Colour::Cyan => 36,
        };
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// One request or one answer.
pub(crate) struct Message {
    way: (Role, char, Role),
    line: String,
    colour: Colour,
    members: Vec<(String, String)>,
}

impl Message {
    /// The first of two roles says `line` to the second.
    pub(crate) fn request((from, to): (Role, Role), line: &str) -> Self {
        Self { way: (from, '→', to), line: plain(line), colour: Colour::Bold, members: Vec::new() }
    }

    /// The second of two roles answers the first with `status`.
    pub(crate) fn answer((from, to): (Role, Role), status: http::StatusCode) -> Self {
        let colour = if status.is_success() { Colour::Green } else { Colour::Red };
        Self { way: (from, '←', to), line: format!("HTTP/1.1 {status}"), colour, members: Vec::new() }
    }

    /// Adds something the message says.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let value = plain(value.as_ref());
        if name == "error" && matches!(value.as_str(), "authorization_pending" | "slow_down") {
            self.colour = Colour::Yellow;
        }
        self.members.push((name.to_owned(), value));
        self
    }

    /// Adds a DPoP proof, if there is one, and what is in it (RFC 9449 §4.2).
    pub(crate) fn with_proof(self, proof: Option<&Proof>) -> Self {
        let Some(Proof { jwt, claims }) = proof else { return self };
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let call = format!("{} {}", text("htm").unwrap_or_default(), text("htu").unwrap_or_default());
        let message = self
            .with("DPoP", format!("{}  with the public key, signed with ES256, and in it:", jwt.reveal()))
            .with("  htm, htu", format!("this call: {call}"));
        let message = match text("ath") {
            Some(ath) => message.with("  ath", format!("this token: its SHA-256 {ath}")),
            None => message,
        };
        let message = match text("nonce") {
            Some(nonce) => message.with("  nonce", format!("made just now: {nonce}")),
            None => message,
        };
        message.with("  iat, jti", "good from now on for a minute, and once")
    }

    /// Adds the members of `body` that are called `names`, as far as they are there.
    pub(crate) fn with_of(mut self, body: &Value, names: &[&str]) -> Self {
        for name in names {
            self = match body.get(name) {
                None => self,
                Some(Value::String(text)) => self.with(name, text),
                Some(other) => self.with(name, other.to_string()),
            };
        }
        self
    }

    /// The message, in lines.
    pub(crate) fn render(&self, ink: Ink) -> Vec<String> {
        let (from, arrow, to) = self.way;
        let left = ink.paint(from.colour(), &format!("{:>NAME$}", from.name()));
        let right = ink.paint(to.colour(), &format!("{:<NAME$}", to.name()));
        let mut page = vec![format!("{left} {arrow} {right}  {}", ink.paint(self.colour, &self.line))];
        let column = self.members.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        for (name, value) in &self.members {
            let mut name = format!("{name:column$}");
            for part in wrap(value, WIDTH - INDENT - column - 2) {
                page.push(format!("{:INDENT$}{}  {part}", "", ink.paint(Colour::Dim, &name)));
                name = " ".repeat(column);
            }
        }
        page
    }
}

/// `text` with every token cut to its first 12 characters, and without characters that a terminal would obey. Whatever is printed goes through
/// here, so that no caller can forget: the shortest secrets of this story have 43 characters, and no honest word has 40.
pub(crate) fn plain(text: &str) -> String {
    const LONGEST_WORD: usize = 39;
    let of_a_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut out = String::new();
    for word in text.split_inclusive(|c| !of_a_token(c)) {
        let token = word.trim_end_matches(|c| c == '.' || !of_a_token(c));
        let after = word[token.len()..].replace(char::is_control, "\u{fffd}");
        if token.len() > LONGEST_WORD {
            out.extend(token.chars().take(12).chain(['…']));
        } else {
            out += token;
        }
        out += &after;
    }
    out
}

/// `text` in lines of at most `width` characters, broken between words; at least one line.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one from the start");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
