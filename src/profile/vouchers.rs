//! [`Vouchers`]: others whose signed word counts here: issuers of hint tokens, and of software statements. The operator names them, with their keys.

use crate::jose::claims::Claims;
use crate::jose::jwk::KeySet;
use crate::jose::jws::Compact;
use crate::profile::Profile;
use crate::wire::Malformed;

/// Issuers, by name.
#[derive(Clone, Debug, Default)]
pub struct Vouchers(Vec<Voucher>);

/// One of them.
#[derive(Clone, Debug)]
pub struct Voucher {
    iss: String,
    keys: KeySet,
}

impl Voucher {
    /// The issuer `iss`, who signs with `keys`.
    pub const fn new(iss: String, keys: KeySet) -> Self {
        Self { iss, keys }
    }

    /// Its name.
    pub fn iss(&self) -> &str {
        &self.iss
    }

    /// The claims of `token`, once it has vouched for them under an algorithm of `profile`.
    pub(super) fn claims(&self, token: Compact<'_>, profile: &Profile) -> Result<Claims, Malformed> {
        let alg = token.alg();
        if profile.algorithms().contains(&alg) {
            token.verify(&self.keys, alg)
        } else {
            Err(Malformed("the profile does not offer the alg"))
        }
    }
}

impl Vouchers {
    /// These.
    pub const fn new(vouchers: Vec<Voucher>) -> Self {
        Self(vouchers)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who `token` says has issued it, if that is one of them.
    pub(super) fn of(&self, token: &Compact<'_>) -> Option<&Voucher> {
        let claimed = token.unverified("iss")?;
        self.0.iter().find(|voucher| voucher.iss == claimed)
    }
}
