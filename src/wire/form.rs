//! [`Form`]: `application/x-www-form-urlencoded`, read strictly (WHATWG URL §5.1, RFC 6749 appendix B).
//!
//! The usual parsers repair what they cannot read: a broken escape passes through, bytes that are not UTF-8 become U+FFFD, and the last of
//! two values wins. Each of those lets two readers of one request disagree, so here each is an error.

use crate::secret::Secret;
use crate::wire::Malformed;

const MOST_FIELDS: usize = 32;
const LONGEST_NAME: usize = 64;

/// The parameters of a request: each name once, each value non-empty.
#[derive(Debug, Default)]
pub struct Form(Vec<(String, Secret)>);

impl Form {
    /// Reads `body`. RFC 6749 §3.2: a parameter without a value counts as absent, and none may appear twice.
    ///
    /// # Errors
    /// [`Malformed`]: over 32 fields, a name over 64 bytes or outside `[A-Za-z0-9_.:-]`, a broken escape, bytes that are not UTF-8, NUL, or
    /// the same name twice.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut names: Vec<String> = Vec::new();
        let mut fields = Vec::new();
        for pair in body.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            if names.len() == MOST_FIELDS {
                return Err(Malformed("the form has too many fields"));
            }
            let at = pair.iter().position(|&b| b == b'=');
            let (name, value) = at.map_or((pair, &pair[pair.len()..]), |at| (&pair[..at], &pair[at + 1..]));
            let name = decode(name)?;
            if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(in_a_name) {
                return Err(Malformed("a parameter name is empty, too long, or has unusual characters"));
            }
            if names.contains(&name) {
                return Err(Malformed("a parameter appears twice"));
            }
            names.push(name.clone());
            let value = decode(value)?;
            if !value.is_empty() {
                fields.push((name, Secret::new(value)));
            }
        }
        Ok(Self(fields))
    }

    /// The value of `name`, if it has one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.reveal())
    }

    /// Whether any of `names` has a value.
    pub fn has_any(&self, names: &[&str]) -> bool {
        self.0.iter().any(|(known, _)| names.contains(&known.as_str()))
    }
}

const fn in_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-')
}

/// Undoes `+` and `%XX`, once.
fn decode(text: &[u8]) -> Result<String, Malformed> {
    // What has nothing to undo, such as a token, is the longest of what comes.
    let undo = text.iter().any(|byte| matches!(byte, b'+' | b'%'));
    let bytes = if undo { undone(text)? } else { text.to_vec() };
    if bytes.contains(&0) {
        return Err(Malformed("the form holds a NUL"));
    }
    String::from_utf8(bytes).map_err(|_| Malformed("the form is not UTF-8"))
}

fn undone(text: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |b: Option<&u8>| b.and_then(|&b| char::from(b).to_digit(16));
                match (digit(rest.next()), digit(rest.next())) {
                    (Some(high), Some(low)) => {
                        u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte")
                    }
                    _ => return Err(Malformed("a percent-encoding is broken")),
                }
            }
            other => other,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> &'static str {
        Form::parse(body.as_bytes()).expect_err(body).0
    }

    #[test]
    fn values_are_decoded_exactly_once() {
        let form = Form::parse(b"scope=openid+accounts&note=%2541%2B&empty=&bare").expect("well-formed");
        assert_eq!(form.value("scope"), Some("openid accounts"));
        assert_eq!(form.value("note"), Some("%41+"));
        assert_eq!((form.value("empty"), form.value("bare"), form.value("Scope")), (None, None, None));
        assert!(form.has_any(&["x", "scope"]) && !form.has_any(&["empty"]));
    }

    #[test]
    fn rfc6749_3_2_a_doubled_parameter_is_refused_even_when_empty_or_escaped() {
        for body in ["a=1&a=1", "a=1&a=", "a&a", "a=1&%61=2"] {
            assert_eq!(refused(body), "a parameter appears twice");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_not_repaired() {
        assert_eq!(refused("a=%"), "a percent-encoding is broken");
        assert_eq!(refused("a=%4"), "a percent-encoding is broken");
        assert_eq!(refused("a=%zz"), "a percent-encoding is broken");
        assert_eq!(refused("a=%+1"), "a percent-encoding is broken");
        assert_eq!(refused("a=%ff"), "the form is not UTF-8");
        assert_eq!(refused("a=%00"), "the form holds a NUL");
        assert_eq!(refused("a=\0"), "the form holds a NUL");
        assert_eq!(refused("=1"), "a parameter name is empty, too long, or has unusual characters");
        assert_eq!(refused("a%20b=1"), "a parameter name is empty, too long, or has unusual characters");
        assert_eq!(
            refused(&format!("{}=1", "n".repeat(65))),
            "a parameter name is empty, too long, or has unusual characters"
        );
    }

    #[test]
    fn the_33rd_field_is_refused() {
        let body = |n: usize| (0..n).map(|i| format!("p{i}=1")).collect::<Vec<_>>().join("&");
        assert!(Form::parse(body(32).as_bytes()).is_ok());
        assert_eq!(refused(&body(33)), "the form has too many fields");
    }
}
