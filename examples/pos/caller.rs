//! [`Caller`]: an HTTPS client that shows a certificate, or none, and the [`Answer`]s it gets.

use std::path::Path;
use std::time::Duration;

use countersign::outbound::{VERSIONS, provider};
use countersign::secret::Digest;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::RequestBuilder;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use url::form_urlencoded;

use crate::story::Told;

const FORM: &str = "application/x-www-form-urlencoded";

/// Somebody who calls.
#[derive(Clone)]
pub(crate) struct Caller {
    client: reqwest::Client,
    shows: String,
}

impl Caller {
    /// Calls with `{name}.pem` and `{name}.key` of the folder `certs`.
    pub(crate) fn with_certificate(certs: &Path, name: &str) -> Told<Self> {
        let chain: Vec<_> =
            CertificateDer::pem_file_iter(certs.join(format!("{name}.pem")))?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(certs.join(format!("{name}.key")))?;
        let leaf = chain.first().ok_or("the file has no certificate")?;
        let shows = format!("{name}.pem, with x5t#S256 {}", Digest::of(leaf));
        let tls = trusting(certs)?.with_client_auth_cert(chain, key)?;
        Ok(Self { client: client(tls)?, shows })
    }

    /// Calls without a certificate.
    pub(crate) fn without_certificate(certs: &Path) -> Told<Self> {
        let tls = trusting(certs)?.with_no_client_auth();
        Ok(Self { client: client(tls)?, shows: "none".to_owned() })
    }

    /// Which certificate the other side gets to see, in words.
    pub(crate) fn shows(&self) -> &str {
        &self.shows
    }

    pub(crate) async fn get(&self, url: &str) -> Told<Answer> {
        Answer::to(self.client.get(url)).await
    }

    pub(crate) async fn get_with_token(&self, url: &str, token: &str) -> Told<Answer> {
        Answer::to(self.client.get(url).header(AUTHORIZATION, format!("Bearer {token}"))).await
    }

    pub(crate) async fn post_form(&self, url: &str, form: &[(&str, &str)]) -> Told<Answer> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        Answer::to(self.client.post(url).header(CONTENT_TYPE, FORM).body(body)).await
    }

    pub(crate) async fn post_json(&self, url: &str, body: &Value) -> Told<Answer> {
        Answer::to(self.client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string())).await
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// RFC 6750 §3: what a protected resource says about a token it does not take.
    pub(crate) challenge: Option<String>,
    /// The JSON in it; null if there is none.
    pub(crate) body: Value,
}

impl Answer {
    async fn to(request: RequestBuilder) -> Told<Self> {
        let response = request.send().await?;
        let status = response.status();
        let challenge = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let challenge = challenge.map(str::to_owned);
        let body = response.bytes().await?;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        Ok(Self { status, challenge, body })
    }

    /// The string called `name`.
    pub(crate) fn text(&self, name: &str) -> Told<&str> {
        self.body.get(name).and_then(Value::as_str).ok_or_else(|| format!("the answer has no {name}").into())
    }

    /// The whole number called `name`.
    pub(crate) fn number(&self, name: &str) -> Told<u64> {
        self.body.get(name).and_then(Value::as_u64).ok_or_else(|| format!("the answer has no {name}").into())
    }
}

type Trusting = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn trusting(certs: &Path) -> Told<Trusting> {
    let mut authorities = RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_file(certs.join("ca.pem"))?)?;
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_root_certificates(authorities))
}

/// Each call is a connection of its own, so that each call proves the certificate.
fn client(tls: ClientConfig) -> Told<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(30))
        .build()?)
}
