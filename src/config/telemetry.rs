//! `[log]`, `[telemetry]` and `[audit]`: what a server tells of itself, and where that goes.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use rustls::RootCertStore;
use tracing_subscriber::filter::LevelFilter;
use url::{Host, Url};

use crate::audit::ledger::Ledger;
use crate::config::Mode;
use crate::config::files::Files;
use crate::config::outward;
use crate::config::reader::{Noted, Section};
use crate::outbound::Identity;
use crate::secret::Secret;
use crate::telemetry::collector::{Collector, Protocol};
use crate::telemetry::{Format, Log};

/// How often metrics leave, in seconds, where nothing is said of it.
const METRICS_EVERY: u64 = 60;

/// What is logged, and how.
pub(super) fn log(mut section: Section<'_>) -> Option<Log> {
    let format = section.choice("format", &[("json", Format::Json), ("pretty", Format::Pretty)]);
    let levels = [
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
    ];
    let level = section.choice("level", &levels);
    section.end();
    Some(Log { format: format?, level: level? })
}

/// Where what happens is kept: in one of three places.
pub(super) fn audit(section: Option<Section<'_>>, files: &Files) -> Result<Option<Ledger>, Noted> {
    let Some(mut section) = section else { return Ok(None) };
    let named = ["file", "syslog", "stdout"].into_iter().filter(|key| section.has(key)).count();
    if named != 1 {
        section.fault(
            "",
            "has to name one place: file, a path; syslog, the path of its socket, as in \"/dev/log\"; or stdout = true",
        );
    }
    let file =
        section.optional_string("file").map(|path| files.to_be_written(&section, "file", &path).map(Ledger::File));
    let syslog = section.optional_string("syslog").map(|path| Some(Ledger::Syslog(path.into())));
    let output = section.optional_flag("stdout").map(|given| given.then_some(Ledger::Output));
    if output == Some(None) {
        section.fault("stdout", "is true, or left out");
    }
    section.end();
    file.or(syslog).or(output).flatten().filter(|_| named == 1).map(Some).ok_or(Noted)
}

/// The collector, how to come there, and how much to tell it.
pub(super) fn collector(mut section: Section<'_>, files: &Files, mode: Option<Mode>) -> Option<Collector> {
    let url = section.string("otlp").and_then(|text| origin(&section, &text));
    let protocol = section.choice("protocol", &[("http", Protocol::Http), ("grpc", Protocol::Grpc)]);
    let encrypted = url.as_ref().is_some_and(|url| url.starts_with("https:"));
    if url.is_some() && !encrypted {
        for key in ["trust", "certificate", "key"].into_iter().filter(|key| section.has(key)) {
            section.fault(key, "is for https; otlp is http, where nobody shows a certificate");
        }
        let here = url.as_ref().is_some_and(|url| Url::parse(url).is_ok_and(|url| is_loopback(&url)));
        if mode == Some(Mode::Production) && !here {
            section.fault(
                "otlp",
                "is http, which anybody on the way can read; production wants https, or a collector on this machine",
            );
        }
    }
    let trust = match section.optional_string("trust").as_deref() {
        Some("system") if encrypted => outward::system(&section),
        Some(path) if encrypted => files.authorities(&section, "trust", path),
        None if encrypted => {
            section.fault("trust", "is missing; give a file of authorities, or \"system\"");
            None
        }
        // Nobody shows a certificate, or a fault was noted.
        Some(_) | None => Some(RootCertStore::empty()),
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
    let scheme = url.as_ref().is_some_and(|url| text.starts_with(url.scheme()));
    if !scheme || text.ends_with('/') {
        section.fault("otlp", "has to be a URL without a path, as in https://collector.example:4318");
        return None;
    }
    Some(text.to_owned())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What every call carries, one a line, as `name: value`.
fn headers(section: &Section<'_>, files: &Files, path: &str) -> Option<Vec<(String, Secret)>> {
    let lines = files.lines(section, "headers", path)?;
    let header = |line: &Secret| {
        let (name, value) = line.reveal().split_once(':')?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        // gRPC has other rules for names that end so.
        let name_is_fine = HeaderName::try_from(&name).is_ok() && !name.ends_with("-bin");
        let fine = name_is_fine && HeaderValue::from_str(value).is_ok();
        (fine && value.is_ascii()).then(|| (name, Secret::new(value.to_owned())))
    };
    let read: Option<Vec<_>> = lines.iter().map(header).collect();
    if read.is_none() {
        section.fault("headers", "has to be a file with a header a line, as in `api-key: 0123`");
    }
    read
}
