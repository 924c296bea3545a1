//! [`Claims`]: the payload of a JWT, read by name and by type (RFC 7519 §4). A claim of the wrong type is an error, never absent.

use serde_json::Value;

use crate::clock::Timestamp;
use crate::wire::Malformed;
use crate::wire::json::Object;

const LONGEST_JTI: usize = 256;

/// The last whole second a JSON number can name exactly.
const LATEST: f64 = 9_007_199_254_740_991.0;

/// The members of a JWT's payload.
pub struct Claims(Object);

impl Claims {
    /// The claims in `object`.
    pub const fn new(object: Object) -> Self {
        Self(object)
    }

    /// The members themselves.
    pub fn into_object(self) -> Object {
        self.0
    }

    /// Whether `name` is there, of whatever type.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names of all claims.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The claim as it stands.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A string. An empty one counts as absent, as an empty parameter does (RFC 6749 §3.1).
    ///
    /// # Errors
    /// It is there and not a string.
    pub fn string(&self, name: &str) -> Result<Option<&str>, Malformed> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Malformed("a claim that is a string in its spec is not one here")),
        }
    }

    /// A `NumericDate` (RFC 7519 §2); fractions are cut off.
    ///
    /// # Errors
    /// It is there and not a number from 0 to 2⁵³−1.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Malformed> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        match value {
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), Some(float)) if whole >= 0 && float <= LATEST => Ok(Some(Timestamp::from_seconds(whole))),
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "bounded on the line itself; the fraction is meant to go"
                )]
                (None, Some(float)) if (0.0..=LATEST).contains(&float) => {
                    Ok(Some(Timestamp::from_seconds(float as i64)))
                }
                _ => Err(Malformed("a time is negative or too far off")),
            },
            _ => Err(Malformed("a time is not a number")),
        }
    }

    /// `aud`: one string or an array of them (RFC 7519 §4.1.3). Absent is empty.
    ///
    /// # Errors
    /// It is there and neither.
    pub fn audience(&self) -> Result<Vec<&str>, Malformed> {
        match self.0.get("aud") {
            None => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![one]),
            Some(Value::Array(many)) => {
                many.iter().map(|one| one.as_str().ok_or(Malformed("aud holds something else"))).collect()
            }
            Some(_) => Err(Malformed("aud is neither a string nor an array")),
        }
    }
}

/// Whether `jti` is 1–256 visible ASCII characters.
pub fn is_an_id(jti: &str) -> bool {
    (1..=LONGEST_JTI).contains(&jti.len()) && jti.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        match value {
            Value::Object(object) => Claims::new(object),
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn a_time_of_the_wrong_type_is_an_error_never_absent() {
        for bad in [
            json!("1"),
            json!(null),
            json!(true),
            json!([1]),
            json!(-1),
            json!(-0.5),
            json!(1e16),
            json!(i64::MAX),
            json!(u64::MAX),
        ] {
            assert!(claims(json!({ "exp": bad })).time("exp").is_err(), "{bad}");
        }
        assert_eq!(claims(json!({"exp": 12.9})).time("exp"), Ok(Some(Timestamp::from_seconds(12))));
        assert_eq!(claims(json!({"exp": 12})).time("exp"), Ok(Some(Timestamp::from_seconds(12))));
        assert_eq!(claims(json!({})).time("exp"), Ok(None));
    }

    #[test]
    fn strings_and_audiences_keep_their_types() {
        assert!(claims(json!({"iss": 1})).string("iss").is_err());
        assert!(claims(json!({"iss": null})).string("iss").is_err());
        assert_eq!(claims(json!({"iss": ""})).string("iss"), Ok(None));
        assert_eq!(claims(json!({"aud": "a"})).audience(), Ok(vec!["a"]));
        assert_eq!(claims(json!({"aud": ["a", "b"]})).audience(), Ok(vec!["a", "b"]));
        assert!(claims(json!({"aud": ["a", 1]})).audience().is_err());
        assert!(claims(json!({"aud": {"a": 1}})).audience().is_err());
    }
}
