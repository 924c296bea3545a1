//! [`IdToken`]: an ID token that the till may believe (OpenID Connect Core §3.1.3.7).

use countersign::clock::Timestamp;
use countersign::jose::alg::Alg;
use countersign::jose::jwk::KeySet;
use countersign::jose::jws::Compact;
use countersign::secret::Secret;
use countersign::wire::Malformed;

const LONGEST: usize = 8 * 1024;

/// An ID token that is by the right issuer, for this client, and valid now.
pub(crate) struct IdToken {
    /// The user.
    pub(crate) sub: String,
    /// When it ends.
    pub(crate) exp: Timestamp,
}

/// Whom the client expects it from, and as whom it reads it.
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    /// What the issuer publishes.
    pub(crate) keys: &'a KeySet,
}

impl IdToken {
    /// Believes `token`, if everything holds. The algorithm is the one the client is registered for, whatever the token says.
    pub(crate) fn read(token: &Secret, expected: &Expected<'_>, now: Timestamp) -> Result<Self, String> {
        let read = || {
            let claims = Compact::parse(token.reveal(), LONGEST)?.verify(expected.keys, Alg::Ps256)?;
            if claims.string("iss")? != Some(expected.issuer) {
                return Err(Malformed("it is another issuer's"));
            }
            if claims.audience()? != [expected.client_id] {
                return Err(Malformed("it is for another client"));
            }
            let exp = claims.time("exp")?.filter(|exp| *exp > now).ok_or(Malformed("it has expired"))?;
            let sub = claims.string("sub")?.ok_or(Malformed("it does not say who the user is"))?;
            Ok(Self { sub: sub.to_owned(), exp })
        };
        read().map_err(|Malformed(why)| format!("the ID token cannot be believed: {why}"))
    }
}
