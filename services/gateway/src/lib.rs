//! The face of the suite: REST with OpenAPI, the web pages, live updates, and
//! sign-in. Holds no business data and no rules: every question and command
//! goes to the service that owns it.

#![allow(
    clippy::result_large_err,
    reason = "a problem is made once per request, and ends it"
)]

#[allow(unused_qualifications, reason = "what utoipa makes of `params(…)`")]
mod api;
mod assets;
pub mod auth;
pub mod openapi;
mod pages;
mod problem;
mod respond;
mod routes;
mod sse;
mod store;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use contracts::Role;
use messaging::{Bus, Failure, Host};
use tokio::{net::TcpListener, sync::oneshot};
use tower_http::csrf::CsrfLayer;

pub use auth::users::{DEMO_PASSWORD, DEMO_USERS, create_user};
pub use problem::Problem;

/// The role that this crate is.
pub const ROLE: Role = Role::Gateway;

/// The schema `gateway`.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// How long requests under way may take once the service is asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// What an operator decides.
#[derive(Debug)]
pub struct Options {
    /// Port 0 takes a free one; see `bound`.
    pub listen: SocketAddr,
    /// Lets in users whose password everybody knows.
    pub demo: bool,
    /// Whether TLS stands in front, so that the session cookie may only travel
    /// there.
    pub secure_cookies: bool,
    /// Bytes of one imported file, at most.
    pub upload_limit: usize,
    /// Other origins (such as `https://ar.example.org`) whose pages may send
    /// forms here; a proxy that hides our host name needs its own here.
    pub trusted_origins: Vec<String>,
    /// Told the address once it is listened on.
    pub bound: Option<oneshot::Sender<SocketAddr>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            demo: false,
            secure_cookies: false,
            upload_limit: 64 * 1024 * 1024,
            trusted_origins: Vec::new(),
            bound: None,
        }
    }
}

/// What every handler has at hand.
#[derive(Clone)]
pub(crate) struct App {
    bus: Bus,
    options: Arc<Options>,
    notices: sse::Notices,
    basic: Arc<auth::BasicCache>,
}

impl App {
    fn new(bus: Bus, options: Options) -> Self {
        Self {
            bus,
            options: Arc::new(options),
            notices: sse::Notices::default(),
            basic: Arc::default(),
        }
    }
}

/// Serves until shutdown, then lets requests under way finish.
///
/// # Errors
/// When the address cannot be listened on, a trusted origin is none, or the
/// database or the broker fail for good.
pub async fn run(bus: Bus, mut options: Options) -> Result<(), Failure> {
    let mut csrf = CsrfLayer::new();
    for origin in &options.trusted_origins {
        csrf = csrf.add_trusted_origin(origin).map_err(|error| {
            Failure::permanent(
                "gateway.trusted_origin",
                format!("`{origin}` cannot be trusted: {error}"),
            )
        })?;
    }
    auth::users::settle_demo(bus.pool(), options.demo, bus.now()).await?;
    let listen = options.listen;
    let cannot = |error: std::io::Error| {
        Failure::transient("gateway.listen", format!("cannot listen on {listen}")).caused_by(error)
    };
    let listener = TcpListener::bind(listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    if let Some(bound) = options.bound.take() {
        // Whoever wanted to know may be gone.
        let _ = bound.send(address);
    }
    tracing::info!(%address, assets = assets::complete(), "listening");

    let app = App::new(bus.clone(), options);
    let router = routes::router(app.clone(), csrf);
    let host = Host::new(bus.clone()).job("expire", Duration::from_mins(1), |bus| async move {
        let gone = store::expire(bus.pool(), bus.now()).await?;
        if gone > 0 {
            tracing::debug!(gone, "forgot what is over");
        }
        Ok(())
    });
    tokio::try_join!(
        host.run(),
        app.notices.listen(&bus),
        serve(listener, router, &bus)
    )?;
    Ok(())
}

async fn serve(listener: TcpListener, router: axum::Router, bus: &Bus) -> Result<(), Failure> {
    let stopping = bus.shutdown().clone();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service)
        .with_graceful_shutdown(async move { stopping.cancelled().await })
        .into_future();
    let too_late = async {
        bus.shutdown().cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = server => ended.map_err(|error| {
            Failure::transient("gateway.serve", "the web server stopped").caused_by(error)
        }),
        () = too_late => {
            tracing::warn!("requests were still under way when the service stopped");
            Ok(())
        }
    }
}
