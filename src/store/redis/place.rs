//! [`Place`]: where Redis is, and as whom to appear there.

use std::fmt;
use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisResult,
    TlsCertificates, TlsMode,
};

use crate::secret::Secret;

/// How long a connection may take to be made.
pub(super) const CONNECT: Duration = Duration::from_secs(1);

/// How long it may take to get one, where some of several addresses do not answer.
pub(super) const CONNECT_ANY: Duration = Duration::from_secs(4);

/// How long a trip may take. A client that waits longer than this is better told to come back.
pub(super) const DEADLINE: Duration = Duration::from_secs(1);

/// How the servers of Redis stand to each other.
#[derive(Clone, Debug)]
pub enum Topology {
    /// There is one, or one address that always leads to the primary.
    Standalone,
    /// Sentinels say which is the primary of that name; they may want a user and password of their own.
    Sentinel(String, Option<Credentials>),
    /// Several primaries share the keys.
    Cluster,
}

/// A user and their password.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each field is what it is called")]
pub struct Credentials {
    pub user: String,
    pub password: Secret,
}

/// Whom to trust, and as whom to appear, in PEM.
#[derive(Clone)]
pub struct Tls {
    /// The certificate authorities of Redis.
    pub trust: Vec<u8>,
    /// Our certificate and its key, where Redis asks for one.
    pub identity: Option<(Vec<u8>, Secret)>,
}

/// Where Redis is.
#[derive(Clone)]
pub struct Place {
    /// What is there.
    pub topology: Topology,
    /// The server, the sentinels, or some of the cluster's nodes.
    pub addresses: Vec<(String, u16)>,
    /// As whom to log in.
    pub credentials: Option<Credentials>,
    /// Without it, nothing is encrypted on the way.
    pub tls: Option<Tls>,
    /// What every key begins with.
    pub prefix: String,
}

/// How to get a connection.
pub(super) enum Door {
    One(Box<Client>),
    Sentinel(Box<SentinelClient>),
    Cluster(Box<ClusterClient>),
}

impl fmt::Display for Place {
    /// For the operator: `redis, standalone at 10.0.0.7:6379, TLS`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topology = match &self.topology {
            Topology::Standalone => "standalone".to_owned(),
            Topology::Sentinel(primary, _) => format!("primary {primary} by the sentinels"),
            Topology::Cluster => "cluster".to_owned(),
        };
        let addresses: Vec<String> = self.addresses.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        let tls = if self.tls.is_some() { "TLS" } else { "no TLS" };
        write!(f, "redis, {topology} at {}, {tls}, keys {}:*", addresses.join(" "), self.prefix)
    }
}

impl Place {
    /// The way in.
    ///
    /// # Errors
    /// The certificates do not fit together.
    pub(super) fn door(&self) -> RedisResult<Door> {
        match &self.topology {
            Topology::Standalone => {
                let infos = self.infos()?;
                let info = infos.into_iter().next().expect("the configuration has an address");
                let client = match &self.tls {
                    None => Client::open(info)?,
                    Some(tls) => Client::build_with_tls(info, tls.certificates())?,
                };
                Ok(Door::One(Box::new(client)))
            }
            Topology::Sentinel(primary, credentials) => {
                self.sentinels(primary, credentials.as_ref()).map(Box::new).map(Door::Sentinel)
            }
            Topology::Cluster => {
                // Nothing is tried again on its own: whether a swap was carried out before the line broke, nobody knows.
                let mut builder = ClusterClient::builder(self.infos()?)
                    .retries(0)
                    .connection_timeout(CONNECT)
                    .response_timeout(DEADLINE)
                    .overall_response_timeout(Some(DEADLINE));
                if let Some(tls) = &self.tls {
                    builder = builder.tls(TlsMode::Secure).certs(tls.certificates());
                }
                if let Some(Credentials { user, password }) = &self.credentials {
                    builder = builder.username(user).password(password.reveal());
                }
                builder.build().map(Box::new).map(Door::Cluster)
            }
        }
    }

    fn sentinels(&self, primary: &str, credentials: Option<&Credentials>) -> RedisResult<SentinelClient> {
        let mut builder = SentinelClientBuilder::new(self.addrs(), primary, SentinelServerType::Master)?;
        if let Some(tls) = &self.tls {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(tls.certificates())
                .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_certificates(tls.certificates());
        }
        if let Some(Credentials { user, password }) = &self.credentials {
            builder = builder.set_client_to_redis_username(user).set_client_to_redis_password(password.reveal());
        }
        if let Some(Credentials { user, password }) = credentials {
            builder = builder.set_client_to_sentinel_username(user).set_client_to_sentinel_password(password.reveal());
        }
        builder.build()
    }

    fn addrs(&self) -> impl Iterator<Item = ConnectionAddr> {
        self.addresses.iter().map(|(host, port)| match &self.tls {
            None => ConnectionAddr::Tcp(host.clone(), *port),
            Some(_) => ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None },
        })
    }

    fn infos(&self) -> RedisResult<Vec<ConnectionInfo>> {
        let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(Credentials { user, password }) = &self.credentials {
            settings = settings.set_username(user).set_password(password.reveal());
        }
        self.addrs().map(|addr| Ok(addr.into_connection_info()?.set_redis_settings(settings.clone()))).collect()
    }
}

impl Tls {
    fn certificates(&self) -> TlsCertificates {
        let identity = self.identity.as_ref().map(|(certificate, key)| ClientTlsConfig {
            client_cert: certificate.clone(),
            client_key: key.reveal().as_bytes().to_vec(),
        });
        TlsCertificates { client_tls: identity, root_cert: Some(self.trust.clone()) }
    }
}
