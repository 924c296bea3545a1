//! [`Collector`]: what spans and metrics are sent to, over OTLP/HTTP or OTLP/gRPC, and whatever it was sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use countersign::outbound::{Identity, VERSIONS, provider};
use countersign::telemetry::collector::{self, Protocol};
use http::{HeaderMap, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status};

use crate::bank::{certificates, pkcs8};

/// A header that every call to it has to carry.
const KEY: (&str, &str) = ("api-key", "of-the-collector");

/// What it was sent.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Sent>>);

#[derive(Default)]
struct Sent {
    spans: Vec<Span>,
    metrics: Vec<String>,
    bytes: Vec<u8>,
}

impl Collector {
    /// Opens one on a free port.
    pub(crate) async fn open(protocol: Protocol) -> (Self, collector::Collector) {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = tcp.local_addr().expect("bound");
        let collector = Self::default();
        collector.serve(protocol, tcp);
        (collector, destination(protocol, at))
    }

    /// The same behind TLS, with a certificate of the tests' authority, which alone is trusted.
    pub(crate) async fn open_with_tls(protocol: Protocol) -> (Self, collector::Collector) {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = tcp.local_addr().expect("bound");
        let collector = Self::default();
        let router = collector.router(protocol);
        let tls = ServerConfig::builder_with_provider(provider()).with_protocol_versions(VERSIONS).expect("they fit");
        let tls = tls.with_no_client_auth().with_single_cert(certificates("bank"), pkcs8("bank.key").into());
        let mut tls = tls.expect("they fit");
        tls.alpn_protocols = vec![if protocol == Protocol::Grpc { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        tokio::spawn(async move {
            while let Ok((stream, _)) = tcp.accept().await {
                let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        let mut trust = RootCertStore::empty();
        trust.add_parsable_certificates(certificates("ca"));
        let tls = Identity { trust, certificate: None }.tls().expect("the authority of the tests");
        let url = format!("https://localhost:{}", at.port());
        (collector, collector::Collector { url, tls, ..destination(protocol, at) })
    }

    /// Takes what is sent to `tcp`.
    fn serve(&self, protocol: Protocol, tcp: TcpListener) {
        let router = self.router(protocol);
        tokio::spawn(async move { axum::serve(tcp, router).await });
    }

    fn router(&self, protocol: Protocol) -> Router {
        match protocol {
            Protocol::Http => {
                let router = Router::new().route("/v1/traces", post(traces)).route("/v1/metrics", post(metrics));
                router.with_state(self.clone())
            }
            Protocol::Grpc => tonic::service::Routes::new(TraceServiceServer::new(self.clone()))
                .add_service(MetricsServiceServer::new(self.clone()))
                .into_axum_router(),
        }
    }

    /// The spans that have come so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spans.clone()
    }

    /// The names of the metrics that have come so far.
    pub(crate) fn metrics(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).metrics.clone()
    }

    /// Every byte of it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes.clone()
    }

    fn take_spans(&self, sent: ExportTraceServiceRequest) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes.extend(sent.encode_to_vec());
        let scopes = sent.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        kept.spans.extend(scopes.flat_map(|scope| scope.spans));
    }

    fn take_metrics(&self, sent: ExportMetricsServiceRequest) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes.extend(sent.encode_to_vec());
        let scopes = sent.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        kept.metrics.extend(scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name));
    }
}

/// A collector that begins to answer over gRPC, and never ends.
pub(crate) async fn endless() -> collector::Collector {
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = tcp.local_addr().expect("bound");
    let head = [("content-type", "application/grpc")];
    let never = || Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let router = Router::new().fallback(move || async move { (head, never()) });
    tokio::spawn(async move { axum::serve(tcp, router).await });
    destination(Protocol::Grpc, at)
}

/// How to come to a collector at `at`, with everything traced, and metrics ten times a second.
pub(crate) fn destination(protocol: Protocol, at: SocketAddr) -> collector::Collector {
    collector::Collector {
        url: format!("http://{at}"),
        protocol,
        tls: Identity { trust: RootCertStore::empty(), certificate: None }.tls().expect("nobody is trusted"),
        headers: vec![(KEY.0.to_owned(), countersign::secret::Secret::new(KEY.1.to_owned()))],
        traced_percent: 100,
        metrics_every: Some(Duration::from_millis(100)),
    }
}

/// A string attribute of `span`, or a number as one.
pub(crate) fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{name} is {other:?}"),
    })
}

async fn traces(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers[KEY.0], KEY.1);
    collector.take_spans(ExportTraceServiceRequest::decode(body).expect("spans"));
    StatusCode::OK
}

async fn metrics(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers[KEY.0], KEY.1);
    collector.take_metrics(ExportMetricsServiceRequest::decode(body).expect("metrics"));
    StatusCode::OK
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        assert_eq!(request.metadata().get(KEY.0).expect("it is there"), KEY.1);
        self.take_spans(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        assert_eq!(request.metadata().get(KEY.0).expect("it is there"), KEY.1);
        self.take_metrics(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
