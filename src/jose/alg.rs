//! [`Alg`]: the signature algorithms that exist here. FAPI 1.0 part 2 §8.6: PS256 and ES256; nothing symmetric, nothing unsigned.

use josekit::jws::JwsAlgorithm;

/// A signature algorithm. A name that is not one of these does not parse, so from there on no other exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alg {
    /// RSASSA-PSS with SHA-256 (RFC 7518 §3.5), keys of 2048 to 4096 bits.
    Ps256,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
}

impl Alg {
    /// Both, in the order in which they are published.
    pub const ALL: [Self; 2] = [Self::Ps256, Self::Es256];

    /// Reads the registered name, exactly (RFC 7515 §4.1.1: case-sensitive).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.name() == name)
    }

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
        }
    }
}

impl JwsAlgorithm for Alg {
    fn name(&self) -> &str {
        Self::name(*self)
    }

    fn box_clone(&self) -> Box<dyn JwsAlgorithm> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fapi1a_8_6_no_other_name_parses() {
        for name in ["none", "None", "", "HS256", "RS256", "ES384", "EdDSA", "ps256", "PS256 ", "ES256K"] {
            assert_eq!(Alg::parse(name), None, "{name}");
        }
        assert_eq!(Alg::parse("PS256"), Some(Alg::Ps256));
        assert_eq!(Alg::parse("ES256"), Some(Alg::Es256));
    }
}
