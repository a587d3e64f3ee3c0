//! Commands that move money are carried out once, however often they are sent.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use kernel::CommandId;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    App,
    auth::Caller,
    problem::Problem,
    store::idempotency::{self, Begun, Command},
};

/// Below this name space lie all command ids that the gateway makes up.
const COMMANDS: Uuid = Uuid::from_u128(0x6f2d_4a0c_96f1_4c52_8f3e_0a64_35d5_9b17);

/// The id of the command that a caller gives under a key: the same for every
/// repetition, so that the service that carries it out recognises it too.
pub(crate) fn command_id(caller: Uuid, route: &str, key: &str) -> CommandId {
    Uuid::new_v5(&COMMANDS, format!("{caller}\n{route}\n{key}").as_bytes()).into()
}

/// The id of the command that a request names by its key.
pub(super) fn command_of(
    caller: &Caller,
    route: &str,
    headers: &HeaderMap,
) -> Result<CommandId, Problem> {
    Ok(command_id(caller.user_id, route, key(headers)?))
}

pub(super) fn key(headers: &HeaderMap) -> Result<&str, Problem> {
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok())
        .map(|key| key.trim().trim_matches('"'))
        .unwrap_or_default();
    if (1..=200).contains(&key.len()) {
        Ok(key)
    } else {
        Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "gateway.idempotency_key_missing",
            "moving money needs an `Idempotency-Key` header of 1 to 200 characters, new for every command and the same for every repetition of it",
        ))
    }
}

/// What is answered when a command is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// As it was answered the first time; kept for a day.
    Kept,
    /// The service is asked again, which carries nothing out twice: for answers
    /// with what people said in them, which must be nowhere but where it can be
    /// erased (E103).
    Anew,
}

/// Carries out `act` unless the caller's key was used before; then repeats the
/// answer of that time. `said` is all that the client said, path and body.
pub(super) async fn once<R, Fut>(
    app: &App,
    caller: &Caller,
    route: &'static str,
    headers: &HeaderMap,
    said: [&[u8]; 2],
    act: impl FnOnce(CommandId) -> Fut,
) -> Result<Response, Problem>
where
    R: Serialize,
    Fut: Future<Output = Result<R, Problem>>,
{
    answered(Answers::Kept, app, caller, route, headers, said, act).await
}

/// The same, where a repetition is answered as `answers` says.
pub(super) async fn answered<R, Fut>(
    answers: Answers,
    app: &App,
    caller: &Caller,
    route: &'static str,
    headers: &HeaderMap,
    said: [&[u8]; 2],
    act: impl FnOnce(CommandId) -> Fut,
) -> Result<Response, Problem>
where
    R: Serialize,
    Fut: Future<Output = Result<R, Problem>>,
{
    let key = key(headers)?;
    let request_sha256 = fingerprint(said);
    let command = Command {
        caller: caller.user_id,
        route,
        key,
        request_sha256: &request_sha256,
    };
    let pool = app.bus.pool();
    match idempotency::begin(pool, command, app.bus.now()).await? {
        Begun::New => {}
        Begun::InFlight => {
            return Err(Problem {
                retry_after: Some(1),
                ..Problem::new(
                    StatusCode::CONFLICT,
                    "gateway.command_in_flight",
                    "the same command is under way",
                )
            });
        }
        Begun::OtherRequest => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "gateway.idempotency_key_reused",
                "this `Idempotency-Key` was used for another request",
            ));
        }
        Begun::Answered { status, body } if answers == Answers::Kept => {
            return Ok(answer(status, body.into(), true));
        }
        Begun::Answered { status, .. } => {
            let reply = act(command_id(caller.user_id, route, key)).await?;
            let body = serde_json::to_vec(&reply).map_err(messaging::Failure::from)?;
            return Ok(answer(status, body.into(), true));
        }
    }
    match act(command_id(caller.user_id, route, key)).await {
        Ok(reply) => {
            let body = serde_json::to_vec(&reply)
                .map_err(|error| Problem::from(messaging::Failure::from(error)))?;
            let kept: &[u8] = match answers {
                Answers::Kept => &body,
                Answers::Anew => &[],
            };
            idempotency::finish(pool, command, 200, kept).await?;
            Ok(answer(200, body.into(), false))
        }
        Err(problem) => {
            // After a time-out the money may have moved or not.
            if problem.status().is_server_error() {
                idempotency::release(pool, command).await?;
            } else {
                idempotency::abandon(pool, command).await?;
            }
            Err(problem)
        }
    }
}

fn fingerprint(said: [&[u8]; 2]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in said {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn answer(status: u16, body: Bytes, again: bool) -> Response {
    let mut response = (StatusCode::from_u16(status).unwrap_or_default(), body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if again {
        headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_id_depends_on_caller_route_and_key() {
        let (jo, al) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = command_id(jo, "allocate", "k1");
        assert_eq!(first, command_id(jo, "allocate", "k1"));
        assert_ne!(first, command_id(al, "allocate", "k1"));
        assert_ne!(first, command_id(jo, "undo", "k1"));
        assert_ne!(first, command_id(jo, "allocate", "k2"));
        // Golden: a client that repeats a command after an upgrade of ours must
        // not move the money again.
        assert_eq!(first.to_string(), "efabdad0-1265-54bc-90c4-ab154fd88f80");
    }

    #[test]
    fn a_key_is_needed_and_bounded() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", value.parse().unwrap());
            key(&headers)
                .map(str::to_owned)
                .map_err(|problem| problem.status)
        };
        assert_eq!(with("abc"), Ok("abc".into()));
        assert_eq!(with("\"abc\""), Ok("abc".into()));
        assert_eq!(with(""), Err(400));
        assert_eq!(with(&"x".repeat(201)), Err(400));
        assert_eq!(
            key(&HeaderMap::new()).unwrap_err().code,
            "gateway.idempotency_key_missing"
        );
    }

    #[test]
    fn path_and_body_cannot_be_mistaken_for_one_another() {
        assert_ne!(fingerprint([b"ab", b"c"]), fingerprint([b"a", b"bc"]));
    }
}
