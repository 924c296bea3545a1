//! How a trace passes through this server: `traceparent` in and out (W3C Trace Context §3.2). `tracestate` and `baggage` are neither read nor sent: they would carry
//! whatever a caller writes to whomever we call.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header, and its name in it.
pub const TRACEPARENT: &str = "traceparent";

/// Has `span` go on with the trace of a `traceparent`. What is none is ignored, as it has to be (§4.3).
pub fn follow(span: &Span, traceparent: &str) {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    // Where nobody traces there is nothing to follow.
    span.set_parent(parent).ok();
}

/// The `traceparent` for whomever is called within the present span, where anybody traces.
pub fn traceparent() -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&Context::current(), &mut carrier);
    carrier.remove(TRACEPARENT)
}
