//! [`Proof`]: a DPoP proof (RFC 9449 §4.2), taken apart strictly, vouched for by the key that it brings along, and held against the [`Call`] that it comes with.

use aws_lc_rs::signature::ED25519;
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::jose::claims::{Claims, is_an_id};
use crate::jose::htu::is_same_place;
use crate::jose::jwk::{self, PRIVATE, elliptic, rsa, thumbprint};
use crate::jose::jws::take_apart;
use crate::secret::{Digest, Secret};
use crate::wire::Malformed;
use crate::wire::json::Object;

/// The algorithms a proof may be signed with, as they are published (RFC 9449 §5.1, RFC 9864 §2.2). `EdDSA` (RFC 8037 §3.1) is none of them: it leaves open which curve is meant.
pub const ALGS: [&str; 3] = ["ES256", "PS256", "Ed25519"];

/// The longest proof, in bytes; half of that for its header, as for that of every JWS.
const LONGEST: usize = 8 * 1024;

/// How old a proof may be, in seconds (RFC 9449 §11.1).
const OLDEST: u32 = 60;

/// Header members that would change what is signed. Those that only name a key, or fetch one, say nothing: the key is the one in the header.
const REFUSED: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// A proof whose signature holds. What it is a proof of, its claims say.
pub struct Proof {
    claims: Claims,
    jkt: Digest,
}

impl Proof {
    /// RFC 9449 §4.3, items 2 and 4 to 7: one well-formed JWS of its type, under an algorithm of [`ALGS`], signed with the public key in its header.
    ///
    /// # Errors
    /// [`Unproven`]: what is wrong with it.
    pub fn read(text: &str) -> Result<Self, Unproven> {
        if text.contains(',') {
            return Err(unproven("DPOP-4.3-1", "there is more than one proof in the header"));
        }
        let ill_formed = unproven("DPOP-4.3-2", "the proof is not a well-formed JWS, or is too long");
        let parts = take_apart(text, LONGEST).map_err(|_| ill_formed)?;
        if REFUSED.iter().any(|member| parts.header.contains_key(*member)) {
            return Err(unproven("DPOP-4.3-2", "the header of the proof has a member that is not accepted"));
        }
        // RFC 7515 §4.1.9: compared without case, and `application/` may be written or left out.
        let typ = parts.header.get("typ").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        if typ.strip_prefix("application/").unwrap_or(&typ) != "dpop+jwt" {
            return Err(unproven("DPOP-4.3-4", "the typ of the proof is not dpop+jwt"));
        }
        let alg = parts.header.get("alg").and_then(Value::as_str).unwrap_or_default();
        let Some(Value::Object(jwk)) = parts.header.get("jwk") else {
            return Err(unproven("DPOP-4.3-6", "the header of the proof has no jwk"));
        };
        let (key, jkt) = public(alg, jwk)?;
        let forged = unproven("DPOP-4.3-6", "the key of the proof did not make its signature");
        key.verify_sig(parts.signed, &parts.signature).map_err(|_| forged)?;
        Ok(Self { claims: parts.claims, jkt })
    }

    /// RFC 9449 §4.3, items 3, 8, 9, 11 and 12, and the times of RFC 7519: that it is a proof of `call`.
    ///
    /// # Errors
    /// [`Unproven`]: it is of another call, token or time, or does not say.
    pub fn of(&self, call: &Call<'_>) -> Result<Shown<'_>, Unproven> {
        let malformed = |Malformed(cause)| unproven("DPOP-4.3-3", cause);
        let text = |name| self.claims.string(name).map_err(malformed);
        let time = |name| self.claims.time(name).map_err(malformed);
        let jti = text("jti")?.filter(|jti| is_an_id(jti)).ok_or(unproven("DPOP-4.3-3", "there is no jti"))?;
        if text("htm")? != Some(call.method) {
            return Err(unproven("DPOP-4.3-8", "the htm is another method"));
        }
        if !text("htu")?.is_some_and(|htu| call.places.iter().any(|place| is_same_place(htu, place))) {
            return Err(unproven("DPOP-4.3-9", "the htu is another place"));
        }
        let iat = time("iat")?.ok_or(unproven("DPOP-4.3-3", "there is no iat"))?;
        let latest = call.now.plus(call.leeway);
        if call.now.since(iat) > i64::from(OLDEST) || iat > latest {
            return Err(unproven("DPOP-4.3-13", "the iat is too long ago, or ahead"));
        }
        if time("exp")?.is_some_and(|exp| exp <= call.now) || time("nbf")?.is_some_and(|nbf| nbf > latest) {
            return Err(unproven("DPOP-4.3-14", "the proof has expired, or is not good yet"));
        }
        if let Some(token) = call.token
            && let ath = text("ath")?
            && ath != Some(&token.digest().to_string())
        {
            let cause = if ath.is_some() { "the proof is of another token" } else { "the proof has no ath" };
            return Err(unproven("DPOP-4.3-15", cause));
        }
        let nonce = text("nonce")?;
        if nonce.is_none() && self.claims.has("nonce") {
            return Err(unproven("DPOP-4.3-3", "the nonce is empty"));
        }
        Ok(Shown { jkt: self.jkt, nonce, jti, until: iat.plus(OLDEST) })
    }
}

/// What a proof is held against.
pub struct Call<'a> {
    /// Its HTTP method.
    pub method: &'a str,
    /// Every URL that the place is known by; of those that do not begin with `https` there are no proofs.
    pub places: &'a [String],
    /// The token that is used, where one is.
    pub token: Option<&'a Secret>,
    /// What time it is.
    pub now: Timestamp,
    /// How far a client's clock may run ahead, in seconds.
    pub leeway: u32,
}

/// What a proof leaves to do: its key may be the wrong one, its nonce too, and it counts once.
pub struct Shown<'a> {
    /// What a token is bound to.
    pub jkt: Digest,
    /// What a server gave out, where the proof has it.
    pub nonce: Option<&'a str>,
    /// By this, under that key, it is told from every other.
    pub jti: &'a str,
    /// From then on it is too old for anybody.
    pub until: Timestamp,
}

/// Why a proof is not one of a call.
#[derive(Debug, PartialEq, Eq)]
pub struct Unproven {
    /// What it is refused under.
    pub clause: &'static str,
    /// What is wrong, in words of ours alone.
    pub cause: &'static str,
}

const fn unproven(clause: &'static str, cause: &'static str) -> Unproven {
    Unproven { clause, cause }
}

/// The key that a proof under `alg` brings along, and its thumbprint.
fn public(alg: &str, members: &Object) -> Result<(ParsedPublicKey, Digest), Unproven> {
    if PRIVATE.iter().any(|member| members.contains_key(*member)) {
        return Err(unproven("DPOP-4.3-7", "the key of the proof is not a public one"));
    }
    let unusable = |jwk::Unusable(why)| unproven("DPOP-4.3-6", why);
    let no_key = unproven("DPOP-4.3-6", "the jwk of the proof is no JWK");
    let jwk = Jwk::from_map(members.clone()).map_err(|_| no_key)?;
    let key = match (alg, jwk.key_type()) {
        ("ES256", "EC") => elliptic(&jwk),
        ("PS256", "RSA") => rsa(&jwk),
        ("Ed25519", "OKP") => edwards(&jwk),
        _ => return Err(unproven("DPOP-4.3-5", "the alg of the proof is not accepted, or does not go with its key")),
    };
    Ok((key.map_err(unusable)?, thumbprint(&jwk).map_err(unusable)?))
}

/// The points of small order of edwards25519, by their y, and the two encodings of such a y that are not canonical. Under one of them as a key a signature can hold over any message (RFC 8032 §8.9 leaves them to the caller).
const SMALL_ORDER: [[u8; 32]; 7] = [
    little_endian("0000000000000000000000000000000000000000000000000000000000000000"),
    little_endian("0000000000000000000000000000000000000000000000000000000000000001"),
    little_endian("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826"),
    little_endian("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7"),
    little_endian("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec"),
    little_endian("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed"),
    little_endian("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffee"),
];

/// The number in `hex`, lowest byte first, as RFC 8032 §5.1.2 writes one.
const fn little_endian(hex: &str) -> [u8; 32] {
    const fn digit(digit: u8) -> u8 {
        if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 }
    }
    let (hex, mut bytes, mut at) = (hex.as_bytes(), [0; 32], 0);
    while at < 32 {
        bytes[31 - at] = 16 * digit(hex[2 * at]) + digit(hex[2 * at + 1]);
        at += 1;
    }
    bytes
}

/// RFC 8037 §2.
fn edwards(jwk: &Jwk) -> Result<ParsedPublicKey, jwk::Unusable> {
    let x = jwk.parameter("x").and_then(Value::as_str).unwrap_or_default();
    let x = URL_SAFE_NO_PAD.decode(x).ok().and_then(|x| <[u8; 32]>::try_from(x).ok());
    let x = x.filter(|_| jwk.curve() == Some("Ed25519")).ok_or(jwk::Unusable("an OKP key is not one of Ed25519"))?;
    let mut y = x;
    // Its highest bit is the sign of the other coordinate.
    y[31] &= 0x7f;
    if SMALL_ORDER.contains(&y) {
        return Err(jwk::Unusable("an OKP key is a point of small order"));
    }
    ParsedPublicKey::new(&ED25519, x).map_err(|_| jwk::Unusable("an OKP key cannot be used"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9449 §4.1, figure 2.
    const RFC: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

    #[test]
    fn rfc9449_4_1_the_proof_of_the_rfc_holds_and_its_key_has_the_thumbprint_of_the_rfc() {
        let proof = Proof::read(RFC).expect("it is the one of the RFC");
        let places = ["https://server.example.com/token".to_owned()];
        let made = Timestamp::from_seconds(1_562_262_616);
        let call = Call { method: "POST", places: &places, token: None, now: made, leeway: 0 };
        let shown = proof.of(&call).expect("it is one of this call");
        assert_eq!((shown.jti, shown.nonce, shown.until), ("-BwC3ESc6acc2lTc", None, made.plus(60)));
        assert_eq!(shown.jkt.to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "RFC 9449 §6.1, figure 9");
        let late = Call { now: made.plus(61), ..call };
        assert_eq!(proof.of(&late).err().map(|why| why.clause), Some("DPOP-4.3-13"));
        let (signed, _) = RFC.rsplit_once('.').expect("three parts");
        assert!(Proof::read(&format!("{signed}.{}", "A".repeat(86))).is_err());
    }

    /// RFC 9449 §5, figure 7: the header of figure 2, and claims and signature of its own.
    const REFRESH: &str = "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjY1Mjk2fQ.pAqut2IRDm_De6PR93SYmGBPXpwrAk90e8cP2hjiaG5QsGSuKDYW7_X620BxqhvYC8ynrrvZLTk41mSRroapUA";

    /// RFC 9449 §7.1, figure 13, in the same way.
    const AT_RESOURCE: &str = "eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";

    fn with_the_header_of_the_rfc(rest: &str) -> Proof {
        let (header, _) = RFC.split_once('.').expect("three parts");
        Proof::read(&format!("{header}.{rest}")).expect("it is one of the RFC")
    }

    #[test]
    fn rfc9449_5_the_proof_of_a_refresh_holds_when_it_was_made() {
        let proof = with_the_header_of_the_rfc(REFRESH);
        let places = ["https://server.example.com/token".to_owned()];
        let at = |now| Call { method: "POST", places: &places, token: None, now, leeway: 0 };
        let made = Timestamp::from_seconds(1_562_265_296);
        assert_eq!(proof.of(&at(made)).map(|shown| shown.jti).ok(), Some("-BwC3ESc6acc2lTc"));
        assert!(proof.of(&at(Timestamp::from_seconds(1_562_262_616))).is_err(), "the one of figure 2 is another");
    }

    #[test]
    fn rfc9449_7_1_the_proof_at_a_resource_is_one_of_its_call_and_token_alone() {
        let proof = with_the_header_of_the_rfc(AT_RESOURCE);
        let token = Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU".to_owned());
        assert_eq!(token.digest().to_string(), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", "figure 14");
        let places = ["https://resource.example.org/protectedresource".to_owned()];
        let made = Timestamp::from_seconds(1_562_262_618);
        let call = || Call { method: "GET", places: &places, token: Some(&token), now: made, leeway: 0 };
        let shown = proof.of(&call()).expect("it is one of this call");
        assert_eq!((shown.jti, shown.nonce), ("e1j3V_bKic8-LAEB", None));
        assert_eq!(shown.jkt.to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "figure 9");
        let other = Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxV".to_owned());
        let elsewhere = ["https://resource.example.org/protectedresource/".to_owned()];
        for (clause, call) in [
            ("DPOP-4.3-8", Call { method: "POST", ..call() }),
            ("DPOP-4.3-8", Call { method: "HEAD", ..call() }),
            ("DPOP-4.3-9", Call { places: &elsewhere, ..call() }),
            ("DPOP-4.3-9", Call { places: &[], ..call() }),
            ("DPOP-4.3-13", Call { now: made.plus(61), ..call() }),
            ("DPOP-4.3-13", Call { now: Timestamp::from_seconds(made.seconds() - 1), ..call() }),
            ("DPOP-4.3-15", Call { token: Some(&other), ..call() }),
        ] {
            assert_eq!(proof.of(&call).err().map(|why| why.clause), Some(clause));
        }
    }

    fn refused(header: &Value) -> &'static str {
        let text = format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode("{}"));
        Proof::read(&text).map(|_| ()).expect_err("it must not hold").cause
    }

    #[test]
    fn dpop_4_3_4_to_7_a_header_that_is_not_that_of_a_proof_is_refused() {
        let good = take_apart(RFC, LONGEST).expect("well-formed").header;
        let with = |member: &str, value: Value| {
            let mut header = good.clone();
            header.insert(member.into(), value);
            refused(&Value::Object(header))
        };
        for typ in
            ["JWT", "at+jwt", "", "dpop+jws", "application/jwt", "application/application/dpop+jwt", "text/dpop+jwt"]
        {
            assert_eq!(with("typ", typ.into()), "the typ of the proof is not dpop+jwt", "{typ}");
        }
        for typ in ["DPoP+JWT", "application/dpop+jwt", "Application/DPOP+jwt"] {
            assert_eq!(with("typ", typ.into()), "the key of the proof did not make its signature", "{typ}");
        }
        for alg in ["none", "HS256", "RS256", "ES256K", "ES384", "PS256", "Ed25519", "EdDSA", "", "es256"] {
            assert!(with("alg", alg.into()).contains("does not go with its key"), "{alg}");
        }
        for member in REFUSED {
            assert!(with(member, Value::Array(Vec::new())).contains("not accepted"), "{member}");
        }
        assert_eq!(with("jwk", Value::Null), "the header of the proof has no jwk");
        let jwk = |member: &str, value: &str| {
            let mut jwk = good["jwk"].clone();
            jwk[member] = value.into();
            with("jwk", jwk)
        };
        for member in PRIVATE {
            assert_eq!(jwk(member, "AAAA"), "the key of the proof is not a public one", "{member}");
        }
        assert_eq!(jwk("crv", "P-384"), "an EC key is not on P-256");
        assert_eq!(jwk("x", "AAAA"), "an EC coordinate does not have 32 bytes");
        assert_eq!(jwk("y", "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"), "an EC key is not a point of P-256");
        assert!(jwk("kty", "oct").contains("does not go with its key"));
        assert_eq!(
            jwk("x5u", "https://elsewhere.example"),
            "the key of the proof did not make its signature",
            "not fetched"
        );
        assert_eq!(with("x5u", "https://elsewhere.example".into()), "the key of the proof did not make its signature");
        assert!(Proof::read(&"A".repeat(LONGEST + 1)).is_err_and(|why| why.cause.contains("too long")));
    }

    #[test]
    fn dpop_4_3_5_and_6_a_key_that_is_weak_or_of_another_kind_is_refused() {
        let with = |alg: &str, jwk: Value| refused(&serde_json::json!({"typ": "dpop+jwt", "alg": alg, "jwk": jwk}));
        let rsa = |bytes: usize, e: &str| {
            let n = [vec![0xff; bytes - 1], vec![0xfd]].concat();
            serde_json::json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": e})
        };
        assert_eq!(with("PS256", rsa(128, "AQAB")), "an RSA modulus is not of 2048 to 4096 bits");
        assert_eq!(with("PS256", rsa(513, "AQAB")), "an RSA modulus is not of 2048 to 4096 bits");
        assert_eq!(with("PS256", rsa(256, "Aw")), "an RSA exponent is not 65537");
        for alg in ["RS256", "RS384", "RS512", "PS384", "PS512", "ES256", "Ed25519"] {
            assert!(with(alg, rsa(256, "AQAB")).contains("does not go with its key"), "{alg}");
        }
        assert_eq!(
            with("PS256", rsa(256, "AQAB")),
            "the key of the proof did not make its signature",
            "of that kind they are"
        );
        let okp = |crv: &str, length: usize| serde_json::json!({"kty": "OKP", "crv": crv, "x": URL_SAFE_NO_PAD.encode(vec![9; length])});
        for (crv, length) in [("X25519", 32), ("Ed448", 57), ("Ed448", 32), ("Ed25519", 31), ("Ed25519", 33), ("", 32)]
        {
            assert_eq!(with("Ed25519", okp(crv, length)), "an OKP key is not one of Ed25519", "{crv} {length}");
        }
        for alg in ["EdDSA", "Ed448", "ES256"] {
            assert!(with(alg, okp("Ed25519", 32)).contains("does not go with its key"), "{alg}");
        }
    }

    /// With the neutral point as R, and 0 as S, a signature holds over any message under the key of order 1, and under the others over one of two, four or eight.
    #[test]
    fn dpop_4_3_6_a_key_under_which_anything_is_signed_is_refused() {
        let order_1 = little_endian("0000000000000000000000000000000000000000000000000000000000000001");
        let forged = [order_1, [0; 32]].concat();
        let key = ParsedPublicKey::new(&ED25519, order_1).expect("the engine takes it");
        assert!(key.verify_sig(b"anything", &forged).is_ok() && key.verify_sig(b"else", &forged).is_ok());
        for point in SMALL_ORDER {
            for sign in [0, 0x80] {
                let mut x = point;
                x[31] |= sign;
                let x = URL_SAFE_NO_PAD.encode(x);
                let jwk = serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": x});
                let header = serde_json::json!({"typ": "dpop+jwt", "alg": "Ed25519", "jwk": jwk});
                let parts = [header.to_string().as_bytes(), b"{}", &forged].map(|part| URL_SAFE_NO_PAD.encode(part));
                let why = Proof::read(&parts.join(".")).map(|_| ()).expect_err("anybody could have made it");
                assert_eq!(why.cause, "an OKP key is a point of small order", "{x}");
            }
        }
    }
}
