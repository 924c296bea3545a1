//! [`Fake`]: a suite that answers what the real one was heard to answer (tests/recorded/suite.json), as a test wants it.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use countersign::cli::certs;
use countersign::clock::System;
use countersign::current::Current;
use countersign::http::serve::{Counted, Limits, Listener, run};
use countersign::http::tls::{self, Certificates, Gaze, config};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

/// What becomes of a module.
#[derive(Clone, Debug)]
pub(crate) enum How {
    Passes,
    Skips,
    Fails,
    Interrupts,
    /// It passes when so many run at once, and not before.
    Together(usize),
    /// It goes on.
    Never,
    /// The suite does not even say how it stands.
    Hangs,
    /// The suite says something else than how it stands.
    Garbles,
    /// Something else runs under the alias, so many times.
    AliasTaken(usize),
    /// It fails, and its log has these lines.
    Says(Value),
    /// It ends with this result.
    Ends(&'static str),
    /// It passes, and the suite has forgotten how it went (`info`), or what it logged (`log`).
    Forgotten(&'static str),
}

/// What the whole suite does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Every answer is the recorded one of that name.
    Answers(&'static str),
    /// Every answer is this text.
    Garbles(&'static str),
    /// It wants a token.
    WantsToken,
    /// Every plan that is made is this one, JSON.
    Makes(&'static str),
    /// It does not answer.
    Silent,
}

/// A suite on a port of its own.
pub(crate) struct Fake {
    pub(crate) url: String,
    state: Arc<Suite>,
    _stop: watch::Sender<bool>,
    certs: TempDir,
}

/// What happened so far.
#[derive(Default)]
pub(crate) struct Seen {
    /// The runs, each with its module and the alias of its plan.
    runs: HashMap<String, (String, Option<String>)>,
    running: Vec<String>,
    /// The configuration of each plan.
    plans: Vec<Value>,
    /// How many ran at once at most.
    pub(crate) most: usize,
    /// Whether two ran at once under one alias.
    pub(crate) collided: bool,
    pub(crate) cancelled: Vec<String>,
    taken: usize,
}

struct Suite {
    recorded: Value,
    how: HashMap<&'static str, How>,
    mood: Mood,
    seen: Mutex<Seen>,
}

impl Fake {
    /// One that does these things with these modules, and passes all others.
    pub(crate) async fn with(how: &[(&'static str, How)]) -> Self {
        Self::of(Mood::Well, how).await
    }

    /// One in that mood.
    pub(crate) async fn of(mood: Mood, how: &[(&'static str, How)]) -> Self {
        let certs = tempfile::tempdir().expect("a folder");
        certs::dev(certs.path(), "localhost", &System).expect("certificates");
        let chain = |name: &str| {
            let pem = fs::read(certs.path().join(format!("{name}.pem"))).expect("it was made");
            let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().expect("a chain");
            (chain, PrivateKeyDer::from_pem_file(certs.path().join(format!("{name}.key"))).expect("a key"))
        };
        let (p256, rsa) =
            (tls::p256(chain("server-p256")).expect("fits"), tls::rsa(chain("server-rsa")).expect("fits"));
        let tls = config(Certificates { p256, rsa }).expect("a configuration");
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://localhost:{}", tcp.local_addr().expect("bound").port());
        let recorded = serde_json::from_str(include_str!("../recorded/suite.json")).expect("JSON");
        let state = Arc::new(Suite { recorded, how: how.iter().cloned().collect(), mood, seen: Mutex::default() });
        let (stop, stopped) = watch::channel(false);
        let gaze = Gaze { authorities: Current::new(None), clock: Arc::new(System) };
        tokio::spawn(run(
            Listener {
                tcp,
                tls: Current::of(tls),
                gaze,
                router: router(state.clone()),
                limits: Limits::default(),
                counted: Counted::default(),
            },
            stopped,
        ));
        Self { url, state, _stop: stop, certs }
    }

    /// The authority of its certificate, PEM.
    pub(crate) fn ca(&self) -> String {
        fs::read_to_string(self.certs.path().join("ca.pem")).expect("it was made")
    }

    /// What happened so far.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.state.seen()
    }
}

fn router(state: Arc<Suite>) -> Router {
    Router::new()
        .route("/api/server", get(async |State(suite): State<Arc<Suite>>| suite.say("server")))
        .route("/api/plan", get(async |State(suite): State<Arc<Suite>>| suite.say("plans")).post(plan))
        .route("/api/runner", post(start))
        .route("/api/runner/{run}/wait-state", get(wait))
        .route("/api/runner/{run}", axum::routing::delete(cancel))
        .route("/api/info/{run}", get(info))
        .route("/api/log/{run}", get(log))
        .layer(from_fn_with_state(state.clone(), mood))
        .with_state(state)
}

async fn mood(State(suite): State<Arc<Suite>>, request: Request, next: Next) -> Response {
    match suite.mood {
        Mood::Answers(name) if request.uri().path() == "/api/plan" && request.method() == "POST" => suite.say(name),
        Mood::Makes(plan) if request.uri().path() == "/api/plan" && request.method() == "POST" => {
            (StatusCode::CREATED, plan).into_response()
        }
        Mood::Well | Mood::Answers(_) | Mood::Makes(_) => next.run(request).await,
        Mood::Silent => std::future::pending().await,
        Mood::Garbles(text) => text.into_response(),
        Mood::WantsToken if request.headers().get("authorization").is_some_and(|it| it == "Bearer of tests") => {
            next.run(request).await
        }
        Mood::WantsToken => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn plan(State(suite): State<Arc<Suite>>, Json(configuration): Json<Value>) -> Response {
    let number = {
        let mut seen = suite.seen();
        seen.plans.push(configuration);
        seen.plans.len() - 1
    };
    let mut made = suite.recorded["plan"]["body"].clone();
    made["id"] = number.to_string().into();
    (StatusCode::CREATED, Json(made)).into_response()
}

async fn start(State(suite): State<Arc<Suite>>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let (module, plan) = (asked["test"].clone(), asked["plan"].parse::<usize>().expect("one of ours"));
    let mut seen = suite.seen();
    if let How::AliasTaken(times) = suite.how(&module)
        && seen.taken < times
    {
        seen.taken += 1;
        // In the real suite this takes two calls at the very same moment, which could not be recorded; the shape is that of its source.
        return (StatusCode::CONFLICT, Json(json!({"error": "alias conflict"}))).into_response();
    }
    let alias = seen.plans[plan]["alias"].as_str().map(str::to_owned);
    let run = format!("run-{}", seen.runs.len());
    let busy = seen.running.iter().any(|other| alias.is_some() && seen.runs[other].1 == alias);
    seen.collided |= busy;
    seen.runs.insert(run.clone(), (module, alias));
    seen.running.push(run.clone());
    seen.most = seen.most.max(seen.running.len());
    let mut started = suite.recorded["runner-passed"]["body"].clone();
    started["id"] = run.into();
    (StatusCode::CREATED, Json(started)).into_response()
}

async fn wait(State(suite): State<Arc<Suite>>, Path(run): Path<String>) -> Response {
    let how = suite.how(&suite.module(&run));
    let ended = match how {
        How::Hangs => std::future::pending().await,
        How::Garbles => return "<html>".into_response(),
        How::Never => false,
        How::Together(wanted) => suite.seen().most >= wanted,
        _ => true,
    };
    if !ended {
        sleep(Duration::from_millis(50)).await;
        return suite.say("wait-timeout");
    }
    suite.seen().running.retain(|other| *other != run);
    suite.say(&format!("wait-ended-{}", suite.word(&run)))
}

async fn cancel(State(suite): State<Arc<Suite>>, Path(run): Path<String>) -> Response {
    let module = suite.module(&run);
    let mut seen = suite.seen();
    seen.running.retain(|other| *other != run);
    seen.cancelled.push(module);
    drop(seen);
    suite.say("cancel")
}

async fn info(State(suite): State<Arc<Suite>>, Path(run): Path<String>) -> Response {
    match suite.how(&suite.module(&run)) {
        How::Forgotten("info") => suite.say("info-unknown"),
        How::Ends(result) => {
            let mut info = suite.recorded["info-passed"]["body"].clone();
            info["result"] = result.into();
            Json(info).into_response()
        }
        _ => suite.say(&format!("info-{}", suite.word(&run))),
    }
}

async fn log(State(suite): State<Arc<Suite>>, Path(run): Path<String>) -> Response {
    match suite.how(&suite.module(&run)) {
        How::Says(lines) => Json(lines).into_response(),
        How::Forgotten("log") => suite.say("info-unknown"),
        _ => suite.say(&format!("log-{}", suite.word(&run))),
    }
}

impl Suite {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn how(&self, module: &str) -> How {
        self.how.get(module).cloned().unwrap_or(How::Passes)
    }

    fn module(&self, run: &str) -> String {
        self.seen().runs[run].0.clone()
    }

    /// What the recordings call it.
    fn word(&self, run: &str) -> &'static str {
        match self.how(&self.module(run)) {
            How::Passes | How::Together(_) | How::AliasTaken(_) | How::Ends(_) | How::Forgotten(_) => "passed",
            How::Skips => "skipped",
            How::Fails | How::Says(_) => "failed",
            How::Interrupts => "interrupted",
            How::Never | How::Hangs | How::Garbles => "cancelled",
        }
    }

    fn say(&self, name: &str) -> Response {
        let recorded = &self.recorded[name];
        let status =
            recorded["status"].as_u64().and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
        let status = status.unwrap_or_else(|| panic!("{name} was not recorded"));
        match &recorded["body"] {
            Value::String(text) => (status, text.clone()).into_response(),
            json => (status, Json(json)).into_response(),
        }
    }
}
