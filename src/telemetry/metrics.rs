//! [`Metrics`]: what is counted and measured. Each attribute is a word of a closed list, so the number of series is bounded whatever callers send;
//! docs/telemetry.md lists them all, and tests/black_box/metrics.rs counts them.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Counter, Gauge, Histogram, Meter, MeterProvider as _, UpDownCounter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use crate::telemetry::collector::{Leaving, resource};
use crate::telemetry::exports::Exports;

/// From half a millisecond to ten seconds.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident => $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$each])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// What kind of client sent a request.
    Class {
        /// One that polls.
        Poll => "poll",
        /// One that is pinged.
        Ping => "ping",
        /// An API that asks about tokens.
        ResourceServer => "resource_server",
        /// Nobody that is known: a stranger, the bank, a probe.
        Nobody => "none",
    }
}

words! {
    /// What this server asks others.
    Call {
        /// Who is meant, at the bank.
        Identify => "identify",
        /// To have the user asked, at the bank.
        Prompt => "prompt",
        /// The keys of a client.
        Jwks => "jwks",
        /// A client to fetch its tokens.
        Ping => "ping",
    }
}

words! {
    /// What becomes of a notification.
    Notification {
        /// The client answered.
        Sent => "sent",
        /// It did not, and is told again.
        Retried => "retried",
        /// The request ended before the client answered.
        GivenUp => "given_up",
        /// There were too many on their way; it lies in the outbox.
        Left => "left",
        /// The client is not there any more.
        Unwanted => "unwanted",
    }
}

words! {
    /// What becomes of a connection before its first request.
    Handshake {
        /// TLS 1.3.
        Tls13 => "tls_1.3",
        /// TLS 1.2.
        Tls12 => "tls_1.2",
        /// There is no version or suite that both sides have.
        Incompatible => "incompatible",
        /// The other side said that it does not go on.
        Alert => "alert",
        /// What came is not TLS, or not as it has to be.
        Malformed => "malformed",
        /// It ended before it was done.
        BrokeOff => "broke_off",
        /// It took too long.
        TimedOut => "timed_out",
        /// A load balancer did not say whose connection it is.
        Unannounced => "unannounced",
        /// Its address had as many connections as one may have.
        Crowded => "crowded",
    }
}

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The method, if a specification names it.
    pub method: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The `error` member of a refusal.
    pub error: Option<&'static str>,
    /// Whose it was.
    pub class: Class,
    /// How long it took.
    pub took: Duration,
}

/// What is counted and measured. Every attribute is a word of a closed list.
pub struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
    durations: Histogram<f64>,
    requests: Counter<u64>,
    events: Counter<u64>,
    audit: Histogram<f64>,
    store: Histogram<f64>,
    calls: Histogram<f64>,
    notifications: Counter<u64>,
    handshakes: Counter<u64>,
    connections: UpDownCounter<i64>,
    reloads: Counter<u64>,
    stale: Gauge<u64>,
    meter: Meter,
}

impl Default for Metrics {
    /// Of a server that nobody installed anything for.
    fn default() -> Self {
        Self::new(resource(""), (Arc::default(), None))
    }
}

impl Metrics {
    pub(super) fn new(resource: Resource, (exports, leaving): (Arc<Exports>, Option<Leaving>)) -> Self {
        let registry = Registry::new();
        let scraped = opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
        let scraped = scraped.build().expect("a registry that is empty takes a collector");
        let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(scraped);
        let provider = if let Some(leaving) = leaving { provider.with_reader(leaving) } else { provider }.build();
        let meter = provider.meter("countersign");
        let counter = |name: &'static str, says: &'static str| meter.u64_counter(name).with_description(says).build();
        let seconds = |name: &'static str, says: &'static str| {
            meter.f64_histogram(name).with_unit("s").with_description(says).with_boundaries(SECONDS.to_vec()).build()
        };
        meter
            .u64_observable_counter("countersign.exports")
            .with_description("What left for the collector, and what did not")
            .with_callback(move |seen| {
                for (signal, left) in Exports::ALL {
                    let count = exports.counted(signal, left);
                    let outcome = if left { "taken" } else { "lost" };
                    seen.observe(count, &[KeyValue::new("signal", signal.word()), KeyValue::new("outcome", outcome)]);
                }
            })
            .build();
        let stale = meter.u64_gauge("countersign.configuration.stale");
        let stale =
            stale.with_description("1 while changed files cannot be used, and everything stays as it was").build();
        stale.record(0, &[]);
        let notifications = counter("countersign.notifications", "Pings, by what became of them");
        for notification in Notification::ALL {
            // A series that begins with its first event has no increase to alert on.
            notifications.add(0, &[KeyValue::new("outcome", notification.word())]);
        }
        Self {
            durations: seconds("http.server.request.duration", "How long requests took"),
            requests: counter("countersign.requests", "Requests, by what became of them"),
            events: counter("countersign.events", "What was recorded, by its name in the audit file"),
            audit: seconds("countersign.audit.duration", "How long it took until an event was on the disk"),
            store: seconds("db.client.operation.duration", "How long trips to the store took"),
            calls: seconds("countersign.call.duration", "How long calls to others took"),
            notifications,
            handshakes: counter("countersign.handshakes", "Connections, by what their TLS handshake came to"),
            connections: meter
                .i64_up_down_counter("countersign.connections")
                .with_description("Connections that are open")
                .build(),
            stale,
            reloads: counter("countersign.reloads", "How often changed files were read again"),
            registry,
            provider,
            meter,
        }
    }

    /// A request to `route` was answered.
    pub fn answered(&self, route: &'static str, answered: &Answered) {
        let Answered { method, status, error, class, took } = *answered;
        let at = KeyValue::new("http.route", route);
        let how = [
            at.clone(),
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.response.status_code", i64::from(status)),
            KeyValue::new("url.scheme", "https"),
        ];
        self.durations.record(took.as_secs_f64(), &how);
        let otherwise = if status < 400 { "ok" } else { "failed" };
        let outcome = KeyValue::new("outcome", error.unwrap_or(otherwise));
        self.requests.add(1, &[at, KeyValue::new("client.class", class.word()), outcome]);
    }

    /// An event was recorded, or was not.
    pub fn recorded(&self, event: &'static str, took: Duration, written: bool) {
        let outcome = KeyValue::new("outcome", if written { "ok" } else { "failed" });
        self.audit.record(took.as_secs_f64(), &[outcome]);
        if written {
            self.events.add(1, &[KeyValue::new("event", event)]);
        }
    }

    /// A trip to the store, which is a `system`, is over.
    pub fn stored(&self, system: &'static str, took: Duration, answered: bool) {
        let system = KeyValue::new("db.system.name", system);
        let failed = KeyValue::new("error.type", "unavailable");
        let how = [system, failed];
        self.store.record(took.as_secs_f64(), &how[..if answered { 1 } else { 2 }]);
    }

    /// A call to another is over.
    pub fn called(&self, call: Call, took: Duration, answered: bool) {
        let outcome = if answered { "ok" } else { "failed" };
        let how = [KeyValue::new("call", call.word()), KeyValue::new("outcome", outcome)];
        self.calls.record(took.as_secs_f64(), &how);
    }

    /// Something became of a notification.
    pub fn notified(&self, notification: Notification) {
        self.notifications.add(1, &[KeyValue::new("outcome", notification.word())]);
    }

    /// Something became of a connection to the listener of this name.
    pub fn shook(&self, listener: &'static str, handshake: Handshake) {
        let how = [KeyValue::new("listener", listener), KeyValue::new("outcome", handshake.word())];
        self.handshakes.add(1, &how);
    }

    /// A connection to the listener of this name is open until what comes back is dropped.
    pub fn connected(&self, listener: &'static str) -> impl Drop + use<> {
        let how = [KeyValue::new("listener", listener)];
        self.connections.add(1, &how);
        Open(self.connections.clone(), how)
    }

    /// The files of the configuration have changed, and were taken, or were not.
    pub fn reloaded(&self, taken: bool) {
        self.reloads.add(1, &[KeyValue::new("outcome", if taken { "taken" } else { "refused" })]);
        self.stale.record(u64::from(!taken), &[]);
    }

    /// A gauge that is looked at whenever somebody wants to know; each value with a word for the attribute `by`.
    pub fn gauge(
        &self,
        (name, unit, says): (&'static str, &'static str, &'static str),
        by: &'static str,
        look: impl Fn(&mut dyn FnMut(String, f64)) + Send + Sync + 'static,
    ) {
        let seen = move |seen: &dyn AsyncInstrument<f64>| {
            look(&mut |word, value| seen.observe(value, &[KeyValue::new(by, word)]));
        };
        self.meter.f64_observable_gauge(name).with_unit(unit).with_description(says).with_callback(seen).build();
    }

    /// Log lines that nobody took, or that could not be written, are lost, and counted by `lost`.
    pub(super) fn count_lines(&self, lost: impl Fn() -> usize + Send + Sync + 'static) {
        self.meter
            .u64_observable_counter("countersign.log.lost")
            .with_description(
                "Log lines that were lost, since nobody took them from standard error, or they could not be written",
            )
            .with_callback(move |seen| seen.observe(lost() as u64, &[]))
            .build();
    }

    /// All of it as Prometheus reads it, and the media type of that.
    pub fn exposition(&self) -> (&'static str, String) {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather());
        (prometheus::TEXT_FORMAT, text.expect("what was just gathered is well formed"))
    }

    pub(super) fn end(&self, within: Duration) {
        // Whatever keeps the collector from taking it was logged when it began.
        self.provider.shutdown_with_timeout(within).ok();
    }
}

/// A connection that is open.
struct Open(UpDownCounter<i64>, [KeyValue; 1]);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.add(-1, &self.1);
    }
}
