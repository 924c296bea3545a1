//! What is told to a collector: which spans, how they hang together, and how a trace passes through. tests/cli/telemetry.rs has what becomes of it when the collector is not there.

use std::sync::Arc;

use countersign::audit::Audit;
use countersign::http::serve::Limits;
use countersign::secret::Seeded;
use countersign::store::memory::Memory;
use countersign::telemetry::collector::Protocol;
use countersign::telemetry::{self, Format, Telemetry, collector};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::time::{Duration, sleep};
use tracing::dispatcher::DefaultGuard;
use tracing::level_filters::LevelFilter;

use crate::bank::{Bank, client, distrusting};
use crate::collector::{Collector, attribute, endless};
use crate::heard::Heard;
use crate::logs::Log;
use crate::ping::{TOKEN, listening};
use crate::raw::in_time;
use crate::teller::response;
use crate::wired::{switched_on, till10};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A server with everything on, whose till 10 is pinged at `endpoint`, that tells the collector at `to`, and logs as much as it can to what comes back first.
pub(crate) async fn telling(to: &collector::Collector, endpoint: &str) -> (Log, Bank, (Telemetry, DefaultGuard)) {
    telling_of(to, |shipped| switched_on(shipped, endpoint)).await
}

/// The same of a server after `edit` had its way with the configuration.
pub(crate) async fn telling_of(
    to: &collector::Collector,
    edit: impl FnOnce(&str) -> String,
) -> (Log, Bank, (Telemetry, DefaultGuard)) {
    let log = Log::default();
    let writer = log.clone();
    let settings = telemetry::Log { format: Format::Json, level: LevelFilter::TRACE };
    let prepared = telemetry::prepare((settings, move || writer.clone()), Some(to), "one");
    let (dispatch, telemetry) = prepared.expect("a collector");
    Log::beside();
    let guard = tracing::dispatcher::set_default(&dispatch);
    let metrics = telemetry.metrics.clone();
    let bank = Bank::of(Limits::default(), edit, |config, clock| {
        let backend = Arc::new(Memory::new(10_000, clock.clone()));
        config.server_with(backend, (Audit::Log, metrics), (clock, Arc::new(Seeded::default())))
    })
    .await;
    tracing::callsite::rebuild_interest_cache();
    (log, bank, (telemetry, guard))
}

/// The span of this name, which has come or will.
pub(crate) async fn span(collector: &Collector, name: &str) -> Span {
    let found = async {
        loop {
            match collector.spans().into_iter().find(|span| span.name == name) {
                Some(span) => return span,
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    in_time(found).await
}

/// The span of this name within `parent`, which has come or will.
async fn within(collector: &Collector, parent: &Span, name: &str) -> Span {
    let of_it = |span: &Span| span.name == name && span.parent_span_id == parent.span_id;
    let found = async {
        loop {
            match collector.spans().into_iter().find(of_it) {
                Some(span) => return span,
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    in_time(found).await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A till asks, the bank approves, the client is pinged, all in the trace of whoever called.
async fn a_trace_passes_through(protocol: Protocol) {
    let teller = listening(response("204 No Content", "", "")).await;
    let (collector, destination) = Collector::open(protocol).await;
    let (log, bank, (_telemetry, _guard)) = telling(&destination, &teller.url).await;
    let till = till10(&bank);
    let asked = till
        .backchannel_call(|call| {
            call.request(|request| request.with("client_notification_token", TOKEN)).edit(|request| {
                let state = request.header("tracestate", "vendor=canary-of-a-caller");
                state
                    .header("baggage", "user=canary-of-a-caller")
                    .header("traceparent", format!("00-{TRACE}-{PARENT}-00"))
            })
        })
        .await;
    let auth_req_id = asked.text("auth_req_id");
    assert_eq!(bank.approve(&auth_req_id).await.status, 204);
    let ping = in_time(teller.call()).await.text.to_lowercase();

    let asking = span(&collector, "POST /bc-authorize").await;
    assert_eq!((hex(&asking.trace_id), hex(&asking.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(asking.kind, 2, "a server's");
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/bc-authorize"),
        ("http.response.status_code", "200"),
        ("countersign.client.id", "till-10"),
    ] {
        assert_eq!(attribute(&asking, name).as_deref(), Some(value), "{asking:#?}");
    }
    assert!(asking.trace_state.is_empty() && asking.status.as_ref().is_none_or(|status| status.code == 0));
    let stored = within(&collector, &asking, "store").await;
    assert_eq!((stored.kind, attribute(&stored, "db.system.name").as_deref()), (3, Some("memory")));
    let recorded = within(&collector, &asking, "record").await;
    assert_eq!(recorded.kind, 1, "internal");

    // The decision began a trace of its own, and the ping goes on with it.
    let (deciding, pinging) = (span(&collector, "POST /decision").await, span(&collector, "ping").await);
    assert_ne!(deciding.trace_id, asking.trace_id);
    assert_eq!((&pinging.trace_id, &pinging.parent_span_id), (&deciding.trace_id, &deciding.span_id));
    assert_eq!(attribute(&pinging, "countersign.client.id").as_deref(), Some("till-10"));
    let called = span(&collector, "POST").await;
    assert_eq!((&called.parent_span_id, called.kind), (&pinging.span_id, 3));
    assert_eq!(attribute(&called, "http.response.status_code").as_deref(), Some("204"));
    assert_eq!(attribute(&called, "server.address"), None, "whom a client has called is its own affair");
    let header = format!("traceparent: 00-{}-{}-01", hex(&called.trace_id), hex(&called.span_id));
    assert!(ping.contains(&header), "{ping}");
    assert!(!ping.contains("tracestate") && !ping.contains("baggage"), "{ping}");

    let line = log.line("request").await;
    assert_eq!((&line["trace_id"], &line["span_id"]), (&TRACE.into(), &hex(&asking.span_id).into()), "{line:#}");
    in_time(async {
        while !collector.metrics().iter().any(|name| name == "http.server.request.duration") {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(!String::from_utf8_lossy(&collector.bytes()).contains("canary-of-a-caller"));
}

#[tokio::test]
async fn w3c_3_2_a_trace_passes_through_and_is_told_over_http() {
    a_trace_passes_through(Protocol::Http).await;
}

#[tokio::test]
async fn w3c_3_2_a_trace_passes_through_and_is_told_over_grpc() {
    a_trace_passes_through(Protocol::Grpc).await;
}

/// Asks for the keys as part of this trace.
async fn fetch(bank: &Bank, traceparent: &[&str]) {
    let request = client(None).get(format!("{}/jwks", bank.issuer));
    let request = traceparent.iter().fold(request, |request, value| request.header("traceparent", *value));
    Heard::of(request).await.published();
}

#[tokio::test]
async fn whether_a_request_is_traced_is_not_the_callers_to_say() {
    let (collector, mut destination) = Collector::open(Protocol::Http).await;
    destination.traced_percent = 50;
    let (log, bank, (_telemetry, _guard)) = telling(&destination, "https://localhost:1/ping").await;
    let ids: Vec<String> = (0..64).map(|at| format!("0af7651916cd43dd{at:016x}")).collect();
    for (at, id) in ids.iter().enumerate() {
        fetch(&bank, &[&format!("00-{id}-{PARENT}-{:02x}", at % 2)]).await;
    }
    // With everything that was gathered before it.
    let told = in_time(async {
        loop {
            let told: Vec<String> = collector.spans().iter().map(|span| hex(&span.trace_id)).collect();
            if told.len() >= 16 {
                return told;
            }
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let flagged = |flag: usize| {
        told.iter().filter(|id| ids.iter().position(|known| known == *id).is_some_and(|at| at % 2 == flag)).count()
    };
    assert!(told.len() < 64 - 8, "some are not, whatever their flag: {}", told.len());
    assert!(flagged(0) > 0 && flagged(1) > 0, "and some are, whatever it is");
    assert_eq!(log.line("request").await["trace_id"], ids[0], "its line says whose it is all the same");
}

#[tokio::test]
async fn w3c_4_3_what_is_no_traceparent_is_ignored() {
    let (collector, destination) = Collector::open(Protocol::Http).await;
    let (_log, bank, (_telemetry, _guard)) = telling(&destination, "https://localhost:1/ping").await;
    let good = format!("00-{TRACE}-{PARENT}-01");
    let bad = [
        vec![String::new()],
        vec!["canary-of-a-caller".to_owned()],
        vec![format!("00-{}-{PARENT}-01", "0".repeat(32))],
        vec![format!("00-{TRACE}-{}-01", "0".repeat(16))],
        vec![format!("ff-{TRACE}-{PARENT}-01")],
        vec![format!("00-{}-{PARENT}-01", TRACE.to_uppercase())],
        vec![good.clone() + "-more"],
        vec![good.clone(), good],
    ];
    for values in &bad {
        fetch(&bank, &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let told = in_time(async {
        loop {
            let told: Vec<Span> = collector.spans().into_iter().filter(|span| span.name == "GET /jwks").collect();
            if told.len() == bad.len() {
                return told;
            }
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    for (span, values) in told.iter().zip(&bad) {
        assert!(hex(&span.trace_id) != TRACE && span.parent_span_id.is_empty(), "{values:?}");
    }
}

#[tokio::test]
async fn a_collector_that_begins_to_answer_and_never_ends_is_given_up() {
    let (_log, bank, (telemetry, _guard)) = telling(&endless().await, "https://localhost:1/ping").await;
    fetch(&bank, &[]).await;
    in_time(async {
        let lost = |signal: &str| format!("countersign_exports_total{{outcome=\"lost\",signal=\"{signal}\"}} 0");
        while ["spans", "metrics"].iter().any(|signal| telemetry.metrics.exposition().1.contains(&lost(signal))) {
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    fetch(&bank, &[]).await;
}

#[tokio::test]
async fn over_tls_a_collector_is_told_if_its_authority_is_trusted_and_not_otherwise() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let (collector, destination) = Collector::open_with_tls(protocol).await;
        let (_log, bank, (_telemetry, _guard)) = telling(&destination, "https://localhost:1/ping").await;
        fetch(&bank, &[]).await;
        span(&collector, "GET /jwks").await;
        let (other, mut destination) = Collector::open_with_tls(protocol).await;
        destination.tls = distrusting();
        let (_log, bank, (telemetry, _guard)) = telling(&destination, "https://localhost:1/ping").await;
        fetch(&bank, &[]).await;
        let lost = "countersign_exports_total{outcome=\"lost\",signal=\"spans\"} 1";
        in_time(async {
            while !telemetry.metrics.exposition().1.contains(lost) {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        assert!(other.bytes().is_empty());
    }
}
