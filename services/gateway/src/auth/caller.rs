//! From a request to who sent it.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{Extensions, HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use axum_extra::extract::CookieJar;
use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use messaging::Failure;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{UserRole, password, throttle};
use crate::{App, pages, problem::Problem, store};

/// Where no TLS stands in front.
pub const SESSION_COOKIE: &str = "counterfoil_session";
/// The prefix makes browsers refuse it without `Secure` or from another host.
pub(crate) const SESSION_COOKIE_SECURE: &str = "__Host-counterfoil_session";
/// Sent by our own page when it refreshes itself: no sign of life of a person.
pub(crate) const REFRESH_HEADER: &str = "x-counterfoil-refresh";

/// Who sent a request.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user_id: Uuid,
    pub name: String,
    pub roles: Vec<UserRole>,
}

impl Caller {
    /// How records of money name this person.
    pub fn actor(&self) -> String {
        format!("user:{}", self.name)
    }
}

/// A new secret and its SHA-256, which alone is stored.
pub(crate) fn new_session() -> (String, [u8; 32]) {
    let token = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let sha256 = token_sha256(&token);
    (token, sha256)
}

/// What the store knows a session by.
pub(crate) fn token_sha256(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The secret in the session cookie.
pub(crate) fn session_token(headers: &HeaderMap, secure: bool) -> Option<String> {
    let name = if secure {
        SESSION_COOKIE_SECURE
    } else {
        SESSION_COOKIE
    };
    let jar = CookieJar::from_headers(headers);
    jar.get(name).map(|cookie| cookie.value().to_owned())
}

/// The other end of the connection. A proxy's headers are not believed: anybody
/// can write them.
pub(crate) struct Address(pub IpAddr);

impl Address {
    fn of(extensions: &Extensions) -> IpAddr {
        extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| {
                peer.ip()
            })
    }
}

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Self::of(&parts.extensions)))
    }
}

/// Puts a [`Caller`] into the request where the session cookie or, on the API,
/// HTTP Basic proves one. What is proved wrong is as good as nothing, except
/// that a password guessed too often is refused at once.
pub(crate) async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/assets/") {
        return next.run(request).await;
    }
    let api = request.uri().path().starts_with("/api/");
    let found = match session_token(request.headers(), app.options.secure_cookies) {
        Some(token) => {
            by_session(
                &app,
                &token,
                !request.headers().contains_key(REFRESH_HEADER),
            )
            .await
        }
        None => Ok(None),
    };
    let found = match found {
        Ok(None) if api => match basic(request.headers()) {
            Some((name, password)) => {
                match by_password(&app, &name, &password, Address::of(request.extensions())).await {
                    Ok(Verdict::Right(caller)) => Ok(Some(caller)),
                    Ok(Verdict::Wrong) => Ok(None),
                    Ok(Verdict::Wait(seconds)) => {
                        return Problem::too_many_sign_ins(seconds).into_response();
                    }
                    Err(failure) => Err(failure),
                }
            }
            None => Ok(None),
        },
        other => other,
    };
    match found {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller.clone());
            let mut response = next.run(request).await;
            // An error page further out greets the same person.
            response.extensions_mut().insert(caller);
            response
        }
        Ok(None) => next.run(request).await,
        Err(failure) => {
            let problem = Problem::from(failure);
            if api {
                problem.into_response()
            } else {
                pages::error_page(&problem, None)
            }
        }
    }
}

async fn by_session(app: &App, token: &str, active: bool) -> Result<Option<Caller>, Failure> {
    let user =
        store::sessions::find(app.bus.pool(), &token_sha256(token), app.bus.now(), active).await?;
    Ok(user.map(|user| Caller {
        user_id: user.user_id,
        name: user.name,
        roles: user.roles,
    }))
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// What became of a name and a password.
pub(crate) enum Verdict {
    Right(Caller),
    Wrong,
    /// Too many failures: seconds until the next try.
    Wait(i64),
}

/// Checks a name and a password, and slows down whoever guesses.
pub(crate) async fn by_password(
    app: &App,
    name: &str,
    password: &str,
    address: IpAddr,
) -> Result<Verdict, Failure> {
    let (pool, now) = (app.bus.pool(), app.bus.now());
    let name = name.to_lowercase();
    let user = store::users::find(pool, &name).await?;
    let proof = user
        .as_ref()
        .map(|user| Proof::of(&user.name, password, &user.password_hash));
    let right = if proof.as_ref().is_some_and(|proof| app.basic.knows(proof)) {
        true
    } else {
        let subjects = throttle::Subjects::of(&name, address);
        let failures = store::users::failures(pool, &subjects.both()).await?;
        if let Some(wait) = throttle::wait(&failures, now) {
            return Ok(Verdict::Wait(wait.num_seconds().max(1)));
        }
        let right = password::verify(
            password,
            user.as_ref().map(|user| user.password_hash.as_str()),
        )
        .await?;
        if right {
            if !failures.is_empty() {
                store::users::forget_failures(pool, &subjects.user).await?;
            }
            if let Some(proof) = proof {
                app.basic.remember(proof);
            }
        } else {
            store::users::count_failure(pool, &subjects.both(), now).await?;
        }
        right
    };
    Ok(match user {
        Some(user) if right => Verdict::Right(Caller {
            user_id: user.user_id,
            name: user.name,
            roles: user.roles,
        }),
        _ => Verdict::Wrong,
    })
}

/// A password that was right a moment ago. Contains the stored hash, so that a
/// changed password is unknown at once.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Proof([u8; 32]);

impl Proof {
    fn of(name: &str, password: &str, phc: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [name, password, phc] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// Spares a script that sends its password with every request the cost of
/// argon2 every time. In memory, short-lived and small.
#[derive(Default)]
pub(crate) struct BasicCache(Mutex<HashMap<Proof, Instant>>);

impl BasicCache {
    const KEPT: Duration = Duration::from_mins(1);
    const MOST: usize = 256;

    fn knows(&self, proof: &Proof) -> bool {
        let proofs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        proofs
            .get(proof)
            .is_some_and(|since| since.elapsed() < Self::KEPT)
    }

    fn remember(&self, proof: Proof) {
        let mut proofs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if proofs.len() >= Self::MOST {
            proofs.retain(|_, since| since.elapsed() < Self::KEPT);
        }
        if proofs.len() < Self::MOST {
            proofs.insert(proof, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn basic_credentials_are_read_and_nonsense_is_not() {
        let of = |value: &str| basic(&headers(header::AUTHORIZATION, value));
        // ops:a:b — a password may hold a colon.
        assert_eq!(of("Basic b3BzOmE6Yg=="), Some(("ops".into(), "a:b".into())));
        assert_eq!(of("basic b3BzOmE6Yg=="), Some(("ops".into(), "a:b".into())));
        assert_eq!(of("Bearer b3BzOmE6Yg=="), None);
        assert_eq!(of("Basic !!!"), None);
        assert_eq!(of("Basic"), None);
    }

    #[test]
    fn the_plain_cookie_is_not_taken_where_the_secure_one_is_expected() {
        let with = headers(header::COOKIE, "a=b; counterfoil_session=plain");
        assert_eq!(session_token(&with, false), Some("plain".into()));
        assert_eq!(session_token(&with, true), None);
    }

    #[test]
    fn session_secrets_are_long_and_never_the_same() {
        let (first, sha256) = new_session();
        let (second, _) = new_session();
        assert_eq!(first.len(), 43);
        assert_ne!(first, second);
        assert_eq!(sha256, token_sha256(&first));
    }

    #[test]
    fn a_proof_forgets_nothing_that_matters() {
        let cache = BasicCache::default();
        cache.remember(Proof::of("jo", "secret", "$old"));
        assert!(cache.knows(&Proof::of("jo", "secret", "$old")));
        assert!(!cache.knows(&Proof::of("jo", "secret", "$new")));
        assert!(!cache.knows(&Proof::of("jos", "ecret", "$old")));
    }
}
