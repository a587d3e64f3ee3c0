//! A command as somebody sends it.

use axum::{
    body::Bytes,
    extract::{Extension, FromRequest, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use contracts::api::{Call, controls::Person};
use kernel::CommandId;
use serde::de::DeserializeOwned;

use super::{
    controls::person,
    json,
    once::{Answers, answered},
};
use crate::{App, auth::Caller, problem::Problem};

#[derive(FromRequest)]
#[from_request(state(App))]
pub(crate) struct Asked {
    #[from_request(via(State))]
    pub(super) app: App,
    #[from_request(via(Extension))]
    pub(super) caller: Caller,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    /// Carries it out once, however often it is sent.
    pub(super) async fn once<B: DeserializeOwned, C: Call>(
        self,
        route: &'static str,
        command: impl FnOnce(CommandId, B, Person) -> C,
    ) -> Result<Response, Problem> {
        self.checked(route, |id, body, caller| {
            Ok(command(id, body, person(caller)))
        })
        .await
    }

    /// The same for what may be refused before a service is asked.
    pub(super) async fn checked<B: DeserializeOwned, C: Call>(
        self,
        route: &'static str,
        command: impl FnOnce(CommandId, B, &Caller) -> Result<C, Problem>,
    ) -> Result<Response, Problem> {
        self.answered(route, Answers::Kept, command).await
    }

    /// The same for what is answered with people's words.
    pub(super) async fn anew<B: DeserializeOwned, C: Call>(
        self,
        route: &'static str,
        command: impl FnOnce(CommandId, B, &Caller) -> Result<C, Problem>,
    ) -> Result<Response, Problem> {
        self.answered(route, Answers::Anew, command).await
    }

    async fn answered<B: DeserializeOwned, C: Call>(
        self,
        route: &'static str,
        answers: Answers,
        command: impl FnOnce(CommandId, B, &Caller) -> Result<C, Problem>,
    ) -> Result<Response, Problem> {
        let said = [self.uri.path().as_bytes(), &self.body];
        let (app, caller) = (&self.app, &self.caller);
        let act = async |id| {
            let body: B = json(&self.headers, &self.body)?;
            Ok(app.bus.ask(&command(id, body, caller)?).await?)
        };
        answered(answers, app, caller, route, &self.headers, said, act).await
    }
}
