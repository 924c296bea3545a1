//! [`Issuer`]: the URLs of one issuer and what it offers. They come from the configuration alone; no header of a request moves them.

use url::{Host, Url};

use crate::jose::alg::Alg;

/// Where the endpoints lie below the issuer.
pub mod path {
    /// OpenID Connect Discovery §4.
    pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
    /// RFC 8414 §3.
    pub const OAUTH_METADATA: &str = "/.well-known/oauth-authorization-server";
    /// RFC 7517 §5.
    pub const JWKS: &str = "/jwks";
    /// RFC 6749 §3.1: there is none to speak of, and it says so.
    pub const AUTHORIZATION: &str = "/authorize";
    /// CIBA §7.
    pub const BACKCHANNEL: &str = "/bc-authorize";
    /// CIBA §10.1.
    pub const TOKEN: &str = "/token";
    /// RFC 7662 §2.
    pub const INTROSPECTION: &str = "/introspect";
    /// RFC 7009 §2.
    pub const REVOCATION: &str = "/revoke";
    /// OpenID Connect Core §5.3.
    pub const USERINFO: &str = "/userinfo";
    /// RFC 7591 §3.
    pub const REGISTRATION: &str = "/register";
    /// RFC 7592 §2.
    pub const MANAGEMENT: &str = "/register/{client_id}";
    /// The standing interface, on the internal listener only.
    pub const STANDING: &str = "/standing";
    /// The decision interface, on the internal listener only.
    pub const DECISION: &str = "/decision";
    /// Whether the process lives.
    pub const LIVE: &str = "/livez";
    /// Whether it can be relied on.
    pub const READY: &str = "/readyz";
    /// What was counted and measured.
    pub const METRICS: &str = "/metrics";
}

/// What one deployment offers beyond its rules, because it is set up for it.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of the deployment, and none excludes another")]
pub struct Offer {
    /// The algorithms there are signing keys for.
    pub signs_with: Vec<Alg>,
    /// `[client_certificates]`: authorities vouch for clients' certificates.
    pub vouched: bool,
    /// `[client_endpoints]`: this server calls URLs of its clients, for pings and keys.
    pub calls: bool,
    /// `server.user_code`: the bank keeps user codes.
    pub user_code: bool,
    /// `server.pairwise_key`: a user has another name with each sector.
    pub pairwise: bool,
    /// `[registration]`: clients can register themselves.
    pub registration: bool,
    /// `[[login_hint_token_issuers]]`: somebody's login_hint_token is believed.
    pub login_hint_token: bool,
}

/// The issuer, the origin below which its endpoints lie, and the words it offers.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each field is the metadata member of that name, or documented")]
pub struct Issuer {
    pub issuer: String,
    pub scopes_supported: Vec<String>,
    pub acr_values_supported: Vec<String>,
    /// What the deployment is set up for.
    pub offer: Offer,
    /// Where clients with a certificate come in (RFC 8705 §5): another name of the same listener, or the issuer itself.
    pub mtls_origin: String,
}

impl Issuer {
    /// The issuer at the URL `issuer`: `https`, a host name, no path, query, fragment or user (RFC 8414 §2; paths are not offered yet).
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn at(issuer: &str) -> Result<Self, &'static str> {
        is_origin(issuer)?;
        Ok(Self {
            issuer: issuer.to_owned(),
            scopes_supported: vec!["openid".to_owned()],
            acr_values_supported: Vec::new(),
            offer: Offer::default(),
            mtls_origin: issuer.to_owned(),
        })
    }

    /// The URL of what lies at `path`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// The same for clients with a certificate.
    pub fn mtls_url(&self, path: &str) -> String {
        format!("{}{path}", self.mtls_origin)
    }

    /// Whether `audience` is the issuer or the URL of an endpoint that authenticates clients, under either name (CIBA §7.1). Plain comparison
    /// (RFC 10070).
    pub fn has(&self, audience: &str) -> bool {
        audience == self.issuer
            || [&self.issuer, &self.mtls_origin].into_iter().any(|origin| {
                let path = audience.strip_prefix(origin.as_str());
                path.is_some_and(|path| AUDIENCES.contains(&path))
            })
    }
}

const AUDIENCES: [&str; 4] = [path::BACKCHANNEL, path::TOKEN, path::INTROSPECTION, path::REVOCATION];

/// That `origin` is `https` and a host name, perhaps with a port, and nothing more.
///
/// # Errors
/// What is wrong with it, in words.
pub fn is_origin(origin: &str) -> Result<(), &'static str> {
    let url = Url::parse(origin).map_err(|_| "is not a URL")?;
    if url.scheme() != "https" {
        return Err("has to start with https://");
    }
    if !matches!(url.host(), Some(Host::Domain(_))) {
        return Err("has to name a host, not an address: TLS sends no server name for an address");
    }
    if url.path() != "/" || origin.ends_with('/') || url.query().is_some() || url.fragment().is_some() {
        return Err("has to end after the host and port, without a slash");
    }
    if !url.username().is_empty() || url.password().is_some() || url.origin().ascii_serialization() != origin {
        return Err("has to be written plainly: lower case, no user, no default port");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8414_2_an_issuer_is_a_bare_https_origin() {
        assert_eq!(
            Issuer::at("https://as.example:9443").expect("bare").url(path::TOKEN),
            "https://as.example:9443/token"
        );
        for bad in [
            "http://as.example",
            "as.example",
            "https://127.0.0.1",
            "https://[::1]:1",
            "https://as.example/",
            "https://as.example/x",
            "https://as.example?x",
            "https://as.example#x",
            "https://u@as.example",
            "https://AS.example",
            "https://as.example:443",
            "",
        ] {
            assert!(Issuer::at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ciba_7_1_5_an_audience_is_compared_plainly() {
        let issuer = Issuer::at("https://as.example").expect("bare");
        assert!(issuer.has("https://as.example") && issuer.has("https://as.example/token"));
        assert!(issuer.has("https://as.example/bc-authorize") && issuer.has("https://as.example/introspect"));
        let two = Issuer { mtls_origin: "https://mtls.as.example".into(), ..issuer.clone() };
        assert!(two.has("https://mtls.as.example/token") && two.has("https://as.example/token"));
        assert!(!two.has("https://mtls.as.example") && !issuer.has("https://mtls.as.example/token"));
        assert!(!issuer.has("https://as.example/") && !issuer.has("https://as.example/jwks") && !issuer.has(""));
    }
}
