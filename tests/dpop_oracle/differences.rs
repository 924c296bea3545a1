//! Where ours and `dpop-verifier` 4.4.0 differ, and why. Each difference has an example that shows it.

use countersign::clock::{Clock, System};
use serde_json::{Value, json};

use crate::judged::{Seen, loose};
use crate::judges::URL;
use crate::made::{Draft, Signer};

/// Something that only one of them takes.
pub(crate) struct Difference {
    pub(crate) reason: &'static str,
    /// Whether it is the one that a proof shows.
    pub(crate) applies: fn(&Seen) -> bool,
    pub(crate) signer: fn() -> Signer,
    /// Turns a good proof into one that shows it.
    pub(crate) example: fn(&mut Draft),
    /// Says the same in a way that both take, signed by whoever comes back, or by who signed it before: then both have to.
    pub(crate) plainly: fn(&mut Draft) -> Option<Signer>,
}

/// There is no such way: ours refuses what it is.
const NO_WAY: fn(&mut Draft) -> Option<Signer> = |_| None;

/// They take it, and we do not.
pub(crate) const STRICTER: &[Difference] = &[
    Difference {
        reason: "RFC 7515 §4.1.11: what crit names has to be understood, and they do not look; b64, zip and enc would change what is signed",
        applies: |seen| ["crit", "b64", "zip", "enc"].iter().any(|name| seen.header.get(name).is_some()),
        signer: Signer::p256,
        example: |draft| draft.member("crit", json!(["exp"])),
        plainly: NO_WAY,
    },
    Difference {
        reason: "RFC 9864 §2.2, §4.1.2: EdDSA leaves open which curve is meant, and is not published",
        applies: |seen| seen.header["alg"] == "EdDSA",
        signer: || Signer::edwards("EdDSA"),
        example: |_| {},
        plainly: NO_WAY,
    },
    Difference {
        reason: "RFC 9449 §4.2: the jwk must not be a private key, and they know one member of seven",
        applies: |seen| {
            ["p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| seen.header["jwk"].get(name).is_some())
        },
        signer: Signer::p256,
        example: |draft| draft.header = draft.header.replace("\"kty\"", "\"k\":\"AAAA\",\"kty\""),
        plainly: NO_WAY,
    },
    Difference {
        reason: "RFC 7517 §4: a kid, use or alg of a JWK is a string, and one that says something else is none",
        applies: |seen| {
            let jwk = &seen.header["jwk"];
            ["kid", "use", "alg"].iter().any(|name| jwk.get(name).is_some_and(|value| !value.is_string()))
        },
        signer: Signer::p256,
        example: |draft| draft.header = draft.header.replace("\"kty\"", "\"use\":1,\"kty\""),
        plainly: NO_WAY,
    },
    Difference {
        reason: "RFC 9449 §4.3, item 8: methods are told apart by case (RFC 9110 §9.1), and have no spaces around them",
        applies: |seen| seen.claims["htm"] != "POST",
        signer: Signer::p256,
        example: |draft| draft.claim("htm", json!(" post")),
        plainly: NO_WAY,
    },
    Difference {
        reason: "RFC 9449 §4.2: a jti is unique, so it says something: 1 to 256 visible ASCII characters",
        applies: |seen| {
            let jti = seen.claims["jti"].as_str().unwrap_or_default();
            !(1..=256).contains(&jti.len()) || !jti.bytes().all(|byte| byte.is_ascii_graphic())
        },
        signer: Signer::p256,
        example: |draft| draft.claim("jti", json!("")),
        plainly: NO_WAY,
    },
    Difference {
        reason: "RFC 7519 §2: a NumericDate is no negative number, and an age is counted without overflow: under i64::MIN theirs never ends",
        applies: |seen| seen.claims["iat"].as_i64().is_some_and(i64::is_negative),
        signer: Signer::p256,
        example: |draft| draft.claim("iat", json!(i64::MIN)),
        plainly: NO_WAY,
    },
    Difference {
        reason: "RFC 7519 §4.1.4, §4.1.5: a proof that says when it ends, or begins, is held to it",
        applies: |seen| {
            let (exp, nbf, now) = (seen.claims.get("exp"), seen.claims.get("nbf"), seen.now);
            exp.is_some_and(|exp| exp.as_i64().is_none_or(|exp| exp <= now || exp >= 1 << 53))
                || nbf.is_some_and(|nbf| nbf.as_i64().is_none_or(|nbf| !(0..=now).contains(&nbf)))
        },
        signer: Signer::p256,
        example: |draft| draft.claim("exp", json!(1)),
        plainly: NO_WAY,
    },
    Difference {
        reason: "RFC 3986 §6.2.2.3: only dot segments go; a place with an empty segment, or a slash at its end, is another place",
        applies: |seen| {
            let htu = seen.claims["htu"].as_str().unwrap_or_default();
            let path = htu.split(['?', '#']).next().unwrap_or_default();
            path.ends_with(['/', '.']) || path.matches("//").count() > 1 || path.contains("/\\") || path.contains("\\/")
        },
        signer: Signer::p256,
        example: |draft| draft.claim("htu", json!("https://as.example//token/")),
        plainly: NO_WAY,
    },
    Difference {
        reason: "RFC 3986 §2, §3.2: a URI has a scheme, an authority and characters of its own; theirs is read by a parser for browsers, which mends what is none",
        applies: |seen| {
            let htu = seen.claims["htu"].as_str().unwrap_or_default();
            let authority =
                htu.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
            let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte);
            authority.is_empty() || authority.contains(['@', '%']) || !htu.bytes().all(allowed)
        },
        signer: Signer::p256,
        example: |draft| draft.claim("htu", json!("https:as.example\\token")),
        plainly: NO_WAY,
    },
    Difference {
        reason: "an htu has at most 2,048 bytes",
        applies: |seen| seen.claims["htu"].as_str().is_some_and(|htu| htu.len() > 2_048),
        signer: Signer::p256,
        example: |draft| draft.claim("htu", json!(format!("{URL}?{}", "a".repeat(2_048)))),
        plainly: NO_WAY,
    },
    Difference {
        reason: "RFC 8725 §2.4, RFC 7515 §4: two members of one name have two readers",
        applies: |seen| {
            let parts = seen.text.split('.').filter_map(crate::made::decoded);
            parts.into_iter().any(|part| countersign::wire::json::object(part.as_bytes()).is_err())
        },
        signer: Signer::p256,
        example: |draft| draft.claims = draft.claims.replacen('{', "{\"nbf\":1,\"nbf\":1,", 1),
        plainly: NO_WAY,
    },
    Difference {
        reason: "a nonce of null is not a string, and not nothing either; an empty one nobody gave out",
        applies: |seen| seen.claims.get("nonce").is_some_and(|nonce| nonce.is_null() || nonce == ""),
        signer: Signer::p256,
        example: |draft| draft.claim("nonce", Value::Null),
        plainly: NO_WAY,
    },
];

/// We take it, and they do not.
pub(crate) const WIDER: &[Difference] = &[
    Difference {
        reason: "FAPI 1.0 part 2 §8.6 has PS256, and so have the certificates of many clients",
        applies: |seen| seen.header["alg"] == "PS256",
        signer: Signer::rsa,
        example: |_| {},
        plainly: |draft| {
            // They have nothing to ask of RSA: another key says the rest.
            let (twin, mut header) = (Signer::p256(), loose(&draft.header));
            header["alg"] = "ES256".into();
            header["jwk"] = twin.header()["jwk"].clone();
            draft.header = header.to_string();
            Some(twin)
        },
    },
    Difference {
        reason: "RFC 9864 §2.2: Ed25519 is the name of what EdDSA was with that curve",
        applies: |seen| seen.header["alg"] == "Ed25519",
        signer: || Signer::edwards("Ed25519"),
        example: |_| {},
        plainly: |draft| {
            draft.member("alg", json!("EdDSA"));
            None
        },
    },
    Difference {
        reason: "RFC 7515 §4.1.9, RFC 2045 §5.1: media types are told apart without case, and application/ may be left out",
        applies: |seen| {
            let typ = seen.header["typ"].as_str().unwrap_or_default().to_ascii_lowercase();
            seen.header["typ"] != "dpop+jwt" && typ.strip_prefix("application/").unwrap_or(&typ) == "dpop+jwt"
        },
        signer: Signer::p256,
        example: |draft| draft.member("typ", json!("Application/DPoP+JWT")),
        plainly: |draft| {
            draft.member("typ", json!("dpop+jwt"));
            None
        },
    },
    Difference {
        reason: "RFC 7519 §2: a NumericDate may have a fraction",
        applies: |seen| seen.claims["iat"].is_f64(),
        signer: Signer::p256,
        example: |draft| {
            let iat = loose(&draft.claims)["iat"].to_string();
            draft.claims = draft.claims.replace(&iat, &format!("{iat}.0"));
        },
        plainly: |draft| {
            draft.claim("iat", json!(System.now().seconds()));
            None
        },
    },
    Difference {
        reason: "RFC 3986 §6.2.2.2: what is escaped and need not be is the same place",
        applies: |seen| seen.claims["htu"].as_str().is_some_and(|htu| htu.contains('%')),
        signer: Signer::p256,
        example: |draft| draft.claim("htu", json!("https://as.example/%74oken")),
        plainly: |draft| {
            draft.claim("htu", json!(URL));
            None
        },
    },
];
