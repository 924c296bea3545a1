//! `conformance serve`: the server and the bank of one plan, until told to stop, for the suite's own pages, another client or a load generator.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::configuration;
use crate::deployment::{Deployment, Store, Wanted};
use crate::fault::Fault;
use crate::place::{Place, write_secret};
use crate::plan::{Mode, Plan};
use crate::stop::Told;
use crate::suite::trust::Vouched;
use crate::suite::{Access, Suite};

/// What to serve, and on what.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The plan whose server and clients to start, as in plain-poll-pkj-dynamic
    #[arg(long, value_name = "PLAN")]
    plan: Plan,
    /// Where the servers keep what they have to remember: memory, or redis://host:port
    #[arg(long, value_name = "STORE", default_value = "memory")]
    store: Store,
    /// How many servers, behind one address; more than one need a Redis
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    nodes: u16,
    #[command(flatten)]
    access: Access,
    /// Where certificates, keys, configurations and logs go. Kept if you name one, and used again; without it, a new folder that is gone afterwards
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Say where everything is in one line of JSON, in place of a table
    #[arg(long)]
    json: bool,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// It cannot be started, or something of it ended by itself.
pub(crate) async fn serve(options: Options) -> Result<(), Fault> {
    let told = Told::listen()?;
    let place = Place::open(options.folder.as_deref())?;
    let vouched = match options.plan.mode {
        Mode::Poll => None,
        Mode::Ping => match options.access.named()? {
            Some(vouched) => Some(vouched),
            None => told
                .unless(Suite::reach(&options.access))
                .await
                .map_or_else(|why| without(&why), |suite| Some(suite.vouched)),
        },
    };
    let wanted = Wanted {
        ecosystem: options.plan.ecosystem,
        plans: vec![options.plan],
        store: options.store.clone(),
        nodes: options.nodes.into(),
        suite: options.access.suite.trim_end_matches('/').to_owned(),
        vouched,
        folder: place.path().to_owned(),
    };
    let mut deployment = told.unless(Deployment::start(&wanted)).await?;
    let configuration = place.path().join(format!("{}.json", options.plan));
    let suites = configuration::of(options.plan, &deployment.target, &deployment.clients)?;
    write_secret(&configuration, &format!("{suites:#}\n"))?;
    let said = said(&options, &deployment, &configuration);
    io::stdout().write_all(said.as_bytes())?;
    io::stdout().flush()?;
    tokio::select! {
        fault = deployment.ended() => Err(fault),
        _ = told.to_stop() => Ok(()),
    }
}

/// Somebody may want a ping plan for a client of their own.
fn without(why: &Fault) -> Option<Vouched> {
    eprintln!("conformance serve: pings to the suite will fail, as its certificate is not known: {why}");
    None
}

fn said(options: &Options, deployment: &Deployment, configuration: &Path) -> String {
    let target = &deployment.target;
    let resource_url = target.resource_url(options.plan);
    let (ca, token) = (deployment.ca.display().to_string(), target.initial_access_token.as_deref());
    let (bank, store) = (deployment.bank.as_str(), deployment.store.to_string());
    if options.json {
        let line = json!({
            "issuer": target.issuer,
            "ca": ca,
            "approval_url": target.approval_url,
            "resource_url": resource_url,
            "initial_access_token": token,
            "bank": bank,
            "store": store,
        });
        return format!("{line}\n");
    }
    let approval = target.approval_url.as_deref().unwrap_or_default();
    format!(
        "{plan}: {nodes} server{s} on {store}, and the sandbox bank\n\n\
         issuer                {issuer}\n\
         authority (ca)        {ca}\n\
         approval URL          {approval}\n\
         resource              {resource_url}\n\
         initial access token  {token}\n\
         bank                  {bank}\n\
         for the suite         {configuration}\n\n\
         Users: alice, bob, user-01 to user-20, always-approves, always-denies, never-answers. Approve with\n\
         curl --cacert {ca} -X POST '{example}'    (or do=deny; or in a browser at {bank})\n\n\
         Ctrl-C stops.\n",
        plan = options.plan,
        nodes = options.nodes,
        s = if options.nodes == 1 { "" } else { "s" },
        issuer = target.issuer,
        example = approval.replace("{auth_req_id}", "AUTH_REQ_ID").replace("{action}", "allow"),
        token = token.unwrap_or_default(),
        configuration = configuration.display(),
    )
}
