//! [`Compact`]: a compact JWS (RFC 7515 §7.1), taken apart strictly before any key is touched.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::jose::alg::Alg;
use crate::jose::claims::Claims;
use crate::jose::jwk::KeySet;
use crate::wire::Malformed;
use crate::wire::json::{self, Object};

const LARGEST_HEADER: usize = 4 * 1024;

/// Header members that would let a message choose its own key or meaning. RFC 8725 §3.10, FAPI 1.0 part 2 §8.9, RFC 7515 §4.1.11:
/// nothing is fetched, nothing is trusted, and no extension is understood.
const REFUSED: [&str; 8] = ["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc"];

/// A JWS that reads well and whose signature has not been looked at yet.
pub struct Compact<'a> {
    alg: Alg,
    kid: Option<String>,
    typ: Option<String>,
    claims: Claims,
    signed: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Takes `token` apart.
    ///
    /// # Errors
    /// [`Malformed`]: longer than `longest` bytes, not three parts, base64url with padding or stray bits, JSON that is not strict, an `alg` that
    /// is not an [`Alg`], or a header member that is refused outright.
    pub fn parse(token: &'a str, longest: usize) -> Result<Self, Malformed> {
        let Parts { header, claims, signed, signature } = take_apart(token, longest)?;
        if REFUSED.iter().any(|member| header.contains_key(*member)) {
            return Err(Malformed("the header has a member that is not accepted"));
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Malformed("a header member is not a string")),
        };
        let alg = text("alg")?.and_then(|name| Alg::parse(&name)).ok_or(Malformed("the alg is not accepted"))?;
        let (kid, typ) = (text("kid")?, text("typ")?);
        Ok(Self { alg, kid, typ, claims, signed, signature })
    }

    /// A claim that nobody has vouched for yet: good for finding out whose keys to try, and for nothing else.
    pub fn unverified(&self, name: &str) -> Option<&str> {
        self.claims.string(name).ok().flatten()
    }

    /// Whether `typ` is absent, `JWT`, or `expected`. RFC 7515 §4.1.9: compared without case, and `application/` may be written or left out.
    pub fn is_of_type(&self, expected: &str) -> bool {
        self.typ.as_deref().is_none_or(|typ| {
            let typ = typ.to_ascii_lowercase();
            let typ = typ.strip_prefix("application/").unwrap_or(&typ);
            typ == "jwt" || typ == expected
        })
    }

    /// Whether `typ` is `expected` and nothing else (RFC 8725 §3.11).
    pub fn is_typed(&self, expected: &str) -> bool {
        self.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(expected))
    }

    /// The algorithm that the message names.
    pub const fn alg(&self) -> Alg {
        self.alg
    }

    /// Does the work of a verification with any key of `keys`, for nothing: so that a refusal that needs none takes as long as one that does.
    pub fn pretend(&self, keys: &KeySet) {
        if let Some(key) = keys.candidates(self.alg, None).next() {
            drop(key.verify(self.signed, &self.signature));
        }
    }

    /// Whether `keys` has a key that may have made the signature, going by algorithm and `kid`.
    pub fn may_be_of(&self, keys: &KeySet) -> bool {
        keys.candidates(self.alg, self.kid.as_deref()).next().is_some()
    }

    /// The claims, once a key of `keys` has vouched for them under `alg`: the algorithm the client registered, not the one the message names
    /// (RFC 8725 §3.1).
    ///
    /// # Errors
    /// The message is signed with another algorithm, or by none of the keys.
    pub fn verify(self, keys: &KeySet, alg: Alg) -> Result<Claims, Malformed> {
        if self.alg != alg {
            return Err(Malformed("the alg is not the registered one"));
        }
        if keys.candidates(alg, self.kid.as_deref()).any(|key| key.verify(self.signed, &self.signature).is_ok()) {
            Ok(self.claims)
        } else {
            Err(Malformed("no registered key made the signature"))
        }
    }
}

/// What a compact JWS is made of.
pub(super) struct Parts<'a> {
    pub(super) header: Object,
    pub(super) claims: Claims,
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
}

/// Takes `token` apart, and judges nothing of it.
pub(super) fn take_apart(token: &str, longest: usize) -> Result<Parts<'_>, Malformed> {
    if token.len() > longest {
        return Err(Malformed("the token is too long"));
    }
    let mut parts = token.splitn(4, '.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Malformed("the token does not have three parts"));
    };
    let signed = &token.as_bytes()[..header.len() + 1 + payload.len()];
    let header = decode(header)?;
    if header.len() > LARGEST_HEADER {
        return Err(Malformed("the header is too large"));
    }
    let (header, claims) = (json::object(&header)?, Claims::new(json::object(&decode(payload)?)?));
    Ok(Parts { header, claims, signed, signature: decode(signature)? })
}

/// base64url without padding and without stray bits, so that each message has one spelling (RFC 7515 §2).
fn decode(part: &str) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed("a part is not base64url"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    fn refused(token: &str) -> &'static str {
        Compact::parse(token, 8192).map(|_| ()).expect_err(token).0
    }

    #[test]
    fn rfc7515_only_three_clean_parts_are_read() {
        let good = token(r#"{"alg":"ES256"}"#, "{}");
        assert!(Compact::parse(&good, 8192).is_ok());
        assert_eq!(refused(""), "the token does not have three parts");
        assert_eq!(refused("a.b"), "the token does not have three parts");
        assert_eq!(refused(&format!("{good}.x.y")), "the token does not have three parts");
        assert_eq!(refused(&".".repeat(8000)), "the token does not have three parts");
        assert_eq!(refused(&".".repeat(9000)), "the token is too long");
        assert_eq!(refused(&format!("{good}=")), "a part is not base64url");
        assert_eq!(refused(&format!("{good} ")), "a part is not base64url");
        assert_eq!(refused(&good.replacen("AAAA", "AB", 1)), "a part is not base64url", "stray bits");
    }

    #[test]
    fn fapi1a_8_6_3_and_rfc7515_4_1_11_a_header_cannot_choose_its_own_rules() {
        for alg in ["none", "HS256", "RS256", "EdDSA", ""] {
            assert_eq!(refused(&token(&format!(r#"{{"alg":"{alg}"}}"#), "{}")), "the alg is not accepted");
        }
        assert_eq!(refused(&token("{}", "{}")), "the alg is not accepted");
        assert_eq!(refused(&token(r#"{"alg":["ES256"]}"#, "{}")), "a header member is not a string");
        assert_eq!(refused(&token(r#"{"alg":"none","alg":"ES256"}"#, "{}")), "the JSON is malformed or too large");
        for member in REFUSED {
            let header = format!(r#"{{"alg":"ES256","{member}":[]}}"#);
            assert_eq!(refused(&token(&header, "{}")), "the header has a member that is not accepted", "{member}");
        }
        let long = format!(r#"{{"alg":"ES256","x":["{}"]}}"#, "A".repeat(LARGEST_HEADER));
        assert_eq!(refused(&token(&long, "{}")), "the header is too large");
    }

    #[test]
    fn ciba_7_1_1_17_types_compare_without_case() {
        let of = |typ: &str| {
            let token = token(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#), "{}");
            Compact::parse(&token, 8192).expect("well-formed").is_of_type("oauth-authz-req+jwt")
        };
        assert!(of("OautH-auThZ-REQ+jWt") && of("JWT") && of("application/oauth-authz-req+jwt"));
        assert!(!of("dpop+jwt") && !of("at+jwt") && !of("client-authentication+jwt") && !of(""));
        assert!(Compact::parse(&token(r#"{"alg":"ES256"}"#, "{}"), 8192).expect("well-formed").is_of_type("x"));
    }
}
