//! What a running server is asked about itself, whenever somebody looks at its metrics: whether it is ready, how old its keys are, when its certificates end.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::config::files::Ending;
use crate::endpoint::Server;

/// Has the metrics of `server` show what there is to see of it.
pub(super) fn show(server: &Arc<Server>, config: &Config) {
    let metrics = server.metrics();
    let asked = Arc::downgrade(server);
    let ready = move |tell: &mut dyn FnMut(String, f64)| {
        let Some((store, audit)) = asked.upgrade().map(|server| server.health()) else { return };
        for (part, well) in [("store", store), ("audit", audit)] {
            tell(part.to_owned(), if well { 1.0 } else { 0.0 });
        }
    };
    metrics.gauge(("countersign.ready", "", "Whether a part can be relied on"), "part", ready);
    let (asked, clock) = (Arc::downgrade(server), server.clock());
    let ages = move |tell: &mut dyn FnMut(String, f64)| {
        let now = clock.now();
        for (alg, since) in asked.upgrade().map(|server| server.signs_since(now)).unwrap_or_default() {
            tell(alg.to_owned(), seconds(now.since(since)));
        }
    };
    metrics.gauge(("countersign.key.age", "s", "Since when the key for an algorithm signs"), "alg", ages);
    let certificates = config.certificates.clone();
    let ends = move |tell: &mut dyn FnMut(String, f64)| {
        let mut first = BTreeMap::new();
        for Ending { path, ends, .. } in certificates.value().iter() {
            let soonest = first.entry(path.clone()).or_insert(*ends);
            *soonest = (*soonest).min(*ends);
        }
        for (path, end) in first {
            tell(path, seconds(end.seconds()));
        }
    };
    let says = "When the first certificate of a file ends, in seconds since 1970";
    metrics.gauge(("countersign.certificate.not_after", "s", says), "file", ends);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric is a floating-point number; to the second until far beyond any year"
)]
fn seconds(seconds: i64) -> f64 {
    seconds as f64
}
