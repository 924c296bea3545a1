//! `[telemetry]`: the collector that spans and metrics go to, and how much of them.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use rustls::RootCertStore;
use url::Url;

use crate::config::files::Files;
use crate::config::outward;
use crate::config::reader::Section;
use crate::outbound::Identity;
use crate::secret::Secret;
use crate::telemetry::collector::{Collector, Protocol};

/// How often metrics leave, in seconds, where nothing is said of it.
const METRICS_EVERY: u64 = 60;

/// The collector, how to come there, and how much to tell it.
pub(super) fn read(mut section: Section<'_>, files: &Files) -> Option<Collector> {
    let url = section.string("otlp").and_then(|text| origin(&section, &text));
    let protocol = section.choice("protocol", &[("http", Protocol::Http), ("grpc", Protocol::Grpc)]);
    let encrypted = url.as_ref().is_none_or(|url| url.starts_with("https:"));
    if !encrypted && section.has("trust") {
        section.fault("trust", "is for https; otlp is http, where nobody shows a certificate");
    }
    let trust = if encrypted {
        section.string("trust").and_then(|trust| match trust.as_str() {
            "system" => outward::system(&section),
            path => files.authorities(&section, "trust", path),
        })
    } else {
        section.optional_string("trust").map_or(Some(RootCertStore::empty()), |_| None)
    };
    let with_certificate = section.has("certificate") || section.has("key");
    let certificate = with_certificate.then(|| files.identity(&mut section, "certificate", "key"));
    let headers = section.optional_string("headers").map(|path| headers(&section, files, &path));
    let traced = section.number("traced_percent", 0..=100).and_then(|percent| u8::try_from(percent).ok());
    let every = section.optional_number("metrics_seconds", 0..=3_600).unwrap_or(METRICS_EVERY);
    let certificate = certificate.map_or(Some(None), |found| found.map(Some));
    let tls = trust.zip(certificate).and_then(|(trust, certificate)| {
        let built = Identity { trust, certificate }.tls();
        built.map_err(|why| section.fault("certificate", &why.to_string())).ok()
    });
    section.end();
    Some(Collector {
        url: url?,
        protocol: protocol?,
        tls: tls?,
        headers: headers.map_or(Some(Vec::new()), |read| read)?,
        traced_percent: traced?,
        metrics_every: (every > 0).then(|| Duration::from_secs(every)),
    })
}

/// A URL without path, as it was written.
fn origin(section: &Section<'_>, text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if url.is_none() || text.ends_with('/') {
        section.fault("otlp", "has to be a URL without a path, as in https://collector.example:4318");
        return None;
    }
    Some(text.to_owned())
}

/// What every call carries, one a line, as `name: value`.
fn headers(section: &Section<'_>, files: &Files, path: &str) -> Option<Vec<(String, Secret)>> {
    let lines = files.lines(section, "headers", path)?;
    let header = |line: &Secret| {
        let (name, value) = line.reveal().split_once(':')?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let fine = HeaderName::try_from(&name).is_ok() && HeaderValue::from_str(value).is_ok();
        (fine && value.is_ascii()).then(|| (name, Secret::new(value.to_owned())))
    };
    let read: Option<Vec<_>> = lines.iter().map(header).collect();
    if read.is_none() {
        section.fault("headers", "has to be a file with a header a line, as in `api-key: 0123`");
    }
    read
}
