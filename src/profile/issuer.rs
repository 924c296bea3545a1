//! [`Issuer`]: the URLs of one issuer and the words it offers. They come from the configuration alone; no header of a request moves them.

use url::{Host, Url};

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
    /// The decision interface, on the internal listener only.
    pub const DECISION: &str = "/decision";
}

/// The issuer, the URLs made from it, and the scopes and authentication context classes on offer.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each field is the metadata member of that name")]
pub struct Issuer {
    pub issuer: String,
    pub scopes_supported: Vec<String>,
    pub acr_values_supported: Vec<String>,
    pub jwks_uri: String,
    pub backchannel_authentication_endpoint: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub introspection_endpoint: String,
}

impl Issuer {
    /// The issuer at the URL `issuer`: `https`, a host name, no path, query, fragment or user (RFC 8414 §2; paths are not offered yet).
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn at(issuer: &str) -> Result<Self, &'static str> {
        let url = Url::parse(issuer).map_err(|_| "is not a URL")?;
        if url.scheme() != "https" {
            return Err("has to start with https://");
        }
        if !matches!(url.host(), Some(Host::Domain(_))) {
            return Err("has to name a host, not an address: TLS sends no server name for an address");
        }
        if url.path() != "/" || issuer.ends_with('/') || url.query().is_some() || url.fragment().is_some() {
            return Err("has to end after the host and port, without a slash");
        }
        if !url.username().is_empty() || url.password().is_some() || url.origin().ascii_serialization() != issuer {
            return Err("has to be written plainly: lower case, no user, no default port");
        }
        let under = |path: &str| format!("{issuer}{path}");
        Ok(Self {
            issuer: issuer.to_owned(),
            scopes_supported: vec!["openid".to_owned()],
            acr_values_supported: Vec::new(),
            jwks_uri: under(path::JWKS),
            backchannel_authentication_endpoint: under(path::BACKCHANNEL),
            authorization_endpoint: under(path::AUTHORIZATION),
            token_endpoint: under(path::TOKEN),
            introspection_endpoint: under(path::INTROSPECTION),
        })
    }

    /// Whether `audience` is the issuer or the URL of an endpoint that authenticates clients (CIBA §7.1). Plain comparison (RFC 10070).
    pub fn has(&self, audience: &str) -> bool {
        [&self.issuer, &self.backchannel_authentication_endpoint, &self.token_endpoint, &self.introspection_endpoint]
            .into_iter()
            .any(|url| url == audience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8414_2_an_issuer_is_a_bare_https_origin() {
        assert_eq!(
            Issuer::at("https://as.example:9443").expect("bare").token_endpoint,
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
        assert!(!issuer.has("https://as.example/") && !issuer.has("https://as.example/jwks") && !issuer.has(""));
    }
}
