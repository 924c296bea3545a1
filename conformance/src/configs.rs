//! `conformance configs`: the suite's configuration of each plan, for a server that is deployed elsewhere, and what has to be registered there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use url::Url;

use crate::clients::{self, AUTHORITY, Client, Pair};
use crate::configuration::{self, Target, entry, notification_endpoint};
use crate::fault::Fault;
use crate::place::{self, write_secret};
use crate::plan::{Choice, Ecosystem, Plan, Registration};
use crate::suite;

/// What to write, for which server.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The issuer of the server
    #[arg(long, value_name = "URL", value_parser = issuer)]
    issuer: String,
    /// What approves or denies a request when it is called with POST: {auth_req_id} and {action} (allow or deny) are filled in. Without it, somebody has to approve each request by hand
    #[arg(long, value_name = "URL", value_parser = approval)]
    approval_url: Option<String>,
    /// For plain plans: a protected resource for scope accounts
    #[arg(long, value_name = "URL", value_parser = address)]
    resource_url: Option<String>,
    /// For plans of Open Banking UK: what account-requests and accounts lie below
    #[arg(long, value_name = "URL", value_parser = address)]
    open_banking_url: Option<String>,
    /// A user who may be asked, as a login_hint
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    user: String,
    /// An acr that the server has among its acr_values_supported and that approvals report
    #[arg(long, value_name = "ACR", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    acr: String,
    /// Plans, as in plain-poll-pkj-static, or all
    #[arg(long, value_name = "PLAN", num_args = 1.., default_value = "all")]
    plan: Vec<Choice>,
    /// Your own clients: a list as this command writes it (clients.toml), a table for each static plan. Without it, clients are made in FOLDER/clients
    #[arg(long, value_name = "FILE")]
    clients: Option<PathBuf>,
    /// A file with the token that registration asks for, for dynamic plans
    #[arg(long, value_name = "FILE")]
    initial_access_token: Option<PathBuf>,
    /// The suite that will be used: static ping clients have their notification endpoint there
    #[arg(long, value_name = "URL", default_value = suite::LOCAL, value_parser = address)]
    suite: String,
    /// What the suite's own addresses begin with for static ping clients; on a suite that others use too, a word of your own
    #[arg(long, value_name = "WORD", default_value = "countersign", value_parser = word)]
    alias: String,
    /// Where to write it
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// An address as the suite and a server take it: https, with neither query nor fragment.
fn address(text: &str) -> Result<String, String> {
    let plain = |url: &Url| url.scheme() == "https" && url.query().is_none() && url.fragment().is_none();
    let url = Url::parse(text).ok().filter(plain);
    url.map(|_| text.to_owned()).ok_or_else(|| "has to be an https address, without ? and #".to_owned())
}

/// An issuer: where its metadata is follows from it.
fn issuer(text: &str) -> Result<String, String> {
    if text.contains("/.well-known/") {
        return Err("has to be the issuer itself, as its metadata has it, not where the metadata is".to_owned());
    }
    address(text)
}

/// An address that says which request, and what to do about it.
fn approval(text: &str) -> Result<String, String> {
    let is_address = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    if is_address && text.contains("{auth_req_id}") && text.contains("{action}") {
        return Ok(text.to_owned());
    }
    Err("has to be an address with {auth_req_id} and {action} in it".to_owned())
}

/// What the suite takes in an alias.
fn word(text: &str) -> Result<String, String> {
    let may = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let is_one = !text.is_empty() && text.chars().all(may);
    if is_one { Ok(text.to_owned()) } else { Err("has to be of letters, digits, - and _".to_owned()) }
}

/// The name of the file with the clients of `ecosystem`, which has a server of its own, as its profile is.
const fn registration(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Plain => "registration-plain.toml",
        Ecosystem::OpenBankingUk => "registration-uk.toml",
    }
}

/// Writes `{plan}.json` for each plan, and for each ecosystem that has static plans a file with the clients that a server has to know.
///
/// # Errors
/// A file cannot be read or written, an address is missing, or there are no clients for a plan.
pub(crate) fn write(options: &Options) -> Result<(), Fault> {
    let plans = Plan::chosen(&options.plan);
    for (ecosystem, named, option) in [
        (Ecosystem::Plain, &options.resource_url, "--resource-url"),
        (Ecosystem::OpenBankingUk, &options.open_banking_url, "--open-banking-url"),
    ] {
        if let Some(plan) = plans.iter().find(|plan| plan.ecosystem == ecosystem && named.is_none()) {
            return Err(format!("{plan} needs {option} URL; or choose other plans with --plan").into());
        }
    }
    let read = |path: &PathBuf| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let token = options.initial_access_token.as_ref().map(read).transpose()?;
    let target = Target {
        issuer: options.issuer.trim_end_matches('/').to_owned(),
        approval_url: options.approval_url.clone(),
        resource_url: options.resource_url.clone().unwrap_or_default(),
        open_banking_url: format!("{}/", options.open_banking_url.as_deref().unwrap_or_default().trim_end_matches('/')),
        initial_access_token: token.map(|token| token.trim().to_owned()),
        user: Some(options.user.clone()),
        acr: options.acr.clone(),
        alias: options.alias.clone(),
    };
    let fixed: Vec<Plan> = plans.iter().copied().filter(|plan| plan.registration == Registration::Static).collect();
    fs::create_dir_all(&options.out).map_err(|error| format!("--out {}: {error}", options.out.display()))?;
    let clients = match &options.clients {
        Some(list) => clients::read(list)?,
        None if fixed.is_empty() => BTreeMap::new(),
        None => clients::open(&options.out.join("clients"), &fixed)?,
    };
    for plan in &plans {
        let path = options.out.join(format!("{plan}.json"));
        write_secret(&path, &format!("{:#}\n", configuration::of(*plan, &target, &clients)?))?;
        writeln!(io::stdout(), "{}", path.display())?;
    }
    // A folder may have clients of other plans from before.
    let known: Vec<Plan> = Plan::all().into_iter().filter(|plan| clients.contains_key(&plan.to_string())).collect();
    for ecosystem in [Ecosystem::Plain, Ecosystem::OpenBankingUk] {
        let known: Vec<Plan> = known.iter().copied().filter(|plan| plan.ecosystem == ecosystem).collect();
        if options.clients.is_none() && !known.is_empty() {
            register(options, (ecosystem, &known), (&target, &clients))?;
        }
    }
    Ok(())
}

/// What a server has to know of the clients that were made.
fn register(
    options: &Options,
    (ecosystem, fixed): (Ecosystem, &[Plan]),
    (target, clients): (&Target, &BTreeMap<String, Pair>),
) -> Result<(), Fault> {
    let mut text = format!(
        "# The clients of these configurations, for a countersign server with server.profile = \"{}\". Those with\n# tls_client_auth_san_dns need [client_certificates] authorities = \"clients/{AUTHORITY}\".\n",
        ecosystem.profile()
    );
    for plan in fixed {
        for client in clients.get(&plan.to_string()).into_iter().flatten() {
            let Client { client_id, .. } = client;
            let jwks = format!("clients/{client_id}.jwks.json");
            place::write(&options.out.join(&jwks), &format!("{:#}\n", client.public_jwks()?))?;
            text.push_str(&entry(*plan, client, (&jwks, &notification_endpoint(*plan, target, &options.suite))));
        }
    }
    let path = options.out.join(registration(ecosystem));
    place::write(&path, &text)?;
    Ok(writeln!(io::stdout(), "{}", path.display())?)
}
