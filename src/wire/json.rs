//! JSON from outside, read strictly: no doubled member at any level, bounded in depth and size (RFC 8259 §4, RFC 7515 §4).
//!
//! `serde_json` keeps the last of two members. A signature then covers a text that two readers understand differently.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::wire::Malformed;

const DEEPEST: usize = 16;
const MOST_ENTRIES: usize = 256;

/// A JSON object whose members are all different.
pub type Object = Map<String, Value>;

/// Reads `text` as one JSON object.
///
/// # Errors
/// [`Malformed`]: not JSON, not an object, a member twice, deeper than 16, or over 256 entries in one array or object.
pub fn object(text: &[u8]) -> Result<Object, Malformed> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value =
        Strict(DEEPEST).deserialize(&mut reader).map_err(|_| Malformed("the JSON is malformed or too large"))?;
    reader.end().map_err(|_| Malformed("something follows the JSON"))?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Malformed("the JSON is not an object")),
    }
}

/// Reads `text` as one array of strings.
///
/// # Errors
/// [`Malformed`]: something else, or over 256 of them.
pub fn strings(text: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict(1).deserialize(&mut reader).map_err(|_| Malformed("the JSON is malformed or too large"))?;
    reader.end().map_err(|_| Malformed("something follows the JSON"))?;
    serde_json::from_value(value).map_err(|_| Malformed("the JSON is not an array of strings"))
}

/// Reads one value, at most this many levels deep.
struct Strict(usize);

impl Strict {
    fn deeper<E: Error>(&self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Strict).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(value) = entries.next_element_seed(self.deeper()?)? {
            if array.len() == MOST_ENTRIES {
                return Err(A::Error::custom("too many entries"));
            }
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.len() == MOST_ENTRIES {
                return Err(A::Error::custom("too many members"));
            }
            let value = members.next_value_seed(self.deeper()?)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member appears twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_whole() {
        let text = br#"{"a":[1,-2,0.5,true,null,"x"],"b":{"c":{}}}"#;
        assert_eq!(
            Value::Object(object(text).expect("well-formed")),
            serde_json::from_slice::<Value>(text).expect("same")
        );
    }

    #[test]
    fn a_doubled_member_is_refused_at_every_level() {
        assert!(object(br#"{"a":1,"a":1}"#).is_err());
        assert!(object(br#"{"a":1,"\u0061":2}"#).is_err());
        assert!(object(br#"{"x":[{"a":1,"a":2}]}"#).is_err());
    }

    #[test]
    fn depth_and_counts_are_bounded() {
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(object(nested(15).as_bytes()).is_ok());
        assert!(object(nested(17).as_bytes()).is_err());
        assert!(object(nested(100_000).as_bytes()).is_err());
        let wide = |n: usize| format!("{{\"a\":[{}]}}", vec!["0"; n].join(","));
        assert!(object(wide(256).as_bytes()).is_ok());
        assert!(object(wide(257).as_bytes()).is_err());
    }

    #[test]
    fn a_list_of_strings_is_that_and_nothing_else() {
        assert_eq!(strings(br#"["a","b"]"#), Ok(vec!["a".into(), "b".into()]));
        for text in ["", "{}", "[1]", "[[]]", "[\"a\"] x", "\"a\"", "[null]"] {
            assert!(strings(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        for text in ["", "[]", "1", "{}{}", "{} x", "{\"a\":NaN}", "{\"a\":1e999}", "\u{feff}{}", "{\"a\":\"\u{0}\"}"] {
            assert!(object(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
    }
}
