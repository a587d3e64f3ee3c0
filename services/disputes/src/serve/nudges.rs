//! Links for people without an account: asked, read, answered.

use chrono::TimeDelta;
use contracts::api::{
    Refusal,
    controls::Person,
    disputes::{CommentByLink, NudgeStakeholder, NudgeView, Nudged, ReadNudge},
};
use kernel::london_date;
use messaging::{Bus, Failure};
use rand::RngCore as _;
use sqlx::PgConnection;

use super::{Act, no_case, text, views::detail};
use crate::{
    domain::{Refused, link, policy::Policy},
    store::{self, nudges::Nudge, words::Words},
};

const STAKEHOLDER_MAX: usize = 200;

pub(crate) async fn nudge_stakeholder(ask: NudgeStakeholder, bus: Bus) -> Result<Nudged, Refusal> {
    let question = text(&ask.question, "/question")?;
    let stakeholder = ask.stakeholder.trim().to_owned();
    if stakeholder.is_empty() || stakeholder.len() > STAKEHOLDER_MAX {
        return Err(
            Failure::permanent("disputes.no_stakeholder", "say who is asked")
                .at("/stakeholder", "between 1 and 200 characters")
                .into(),
        );
    }
    let id = ask.command_id.as_uuid();
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        let mut tx = bus.begin().await?;
        let nudge = store::nudges::find(tx.conn(), id)
            .await?
            .ok_or_else(no_link)?;
        return Ok(Nudged {
            case: detail(tx.conn(), nudge.case, bus.now()).await?,
            token: None,
            expires_at: nudge.expires_at,
        });
    };
    let (mut cases, _) = act.take_up(&[ask.case_id], &[]).await?;
    let case = cases.pop().ok_or_else(|| no_case(ask.case_id))?;
    if !act.policy.may("nudge", &ask.person, Some(&case)) {
        return Err(Failure::of(Refused::NotYours).into());
    }
    if !case.is_open() {
        return Err(Failure::of(Refused::State {
            step: "asked about",
            state: case.state,
        })
        .into());
    }
    let mut secret = [0_u8; 32];
    rand::rng().fill_bytes(&mut secret);
    let nudge = Nudge {
        id,
        case: case.id,
        hash: link::hash(id, &secret),
        asked_by: ask.person.actor.clone(),
        asked_at: act.now,
        expires_at: act.now + act.policy.nudge_valid(),
        stakeholder,
        question,
    };
    store::nudges::put(act.tx.conn(), &nudge).await?;
    let said = format!("asked {}: {}", nudge.stakeholder, nudge.question);
    let words = Words {
        text: &said,
        nudge: Some(id),
        evidence: None,
    };
    act.put_words(case.clone(), &case, "nudged", words, &ask.person)
        .await?;
    act.finish(&bus).await?;
    let mut tx = bus.begin().await?;
    Ok(Nudged {
        case: detail(tx.conn(), nudge.case, bus.now()).await?,
        token: Some(link::token(id, &secret)),
        expires_at: nudge.expires_at,
    })
}

/// The same for a link that never was, one that was changed and one that is
/// over: who guesses learns nothing.
fn no_link() -> Failure {
    Failure::not_found(
        "disputes.no_link",
        "this link is not valid, or not any more",
    )
}

async fn open(conn: &mut PgConnection, token: &str, bus: &Bus) -> Result<Nudge, Failure> {
    let (id, hash) = link::read(token.trim()).ok_or_else(no_link)?;
    let nudge = store::nudges::find(conn, id).await?.ok_or_else(no_link)?;
    if nudge.hash != hash || nudge.expires_at <= bus.now() {
        return Err(no_link());
    }
    Ok(nudge)
}

async fn view(conn: &mut PgConnection, nudge: Nudge, bus: &Bus) -> Result<NudgeView, Failure> {
    let case = store::cases::look_at(conn, nudge.case)
        .await?
        .ok_or_else(no_link)?;
    let name = store::views::account(conn, case.account)
        .await?
        .map_or_else(|| case.account_ref.clone(), |(_, name)| name);
    let policy = Policy::on(london_date(bus.now()));
    let reason = case
        .reason_code
        .as_deref()
        .and_then(|code| policy.reason(code));
    Ok(NudgeView {
        case_ref: case.case_ref.clone(),
        account_name: name,
        documents: case
            .parts
            .iter()
            .take(20)
            .map(|part| part.document_ref.clone())
            .collect(),
        reason: reason.map_or_else(String::new, |reason| reason.words.to_owned()),
        disputed: case.in_question().map_err(Failure::of)?,
        comments: store::nudges::comments(conn, nudge.id).await?,
        over: !case.is_open(),
        stakeholder: nudge.stakeholder,
        question: nudge.question,
        asked_by: nudge.asked_by,
        asked_at: nudge.asked_at,
        expires_at: nudge.expires_at,
    })
}

pub(crate) async fn read_nudge(ask: ReadNudge, bus: Bus) -> Result<NudgeView, Refusal> {
    let mut tx = bus.begin().await?;
    let nudge = open(tx.conn(), &ask.token, &bus).await?;
    Ok(view(tx.conn(), nudge, &bus).await?)
}

pub(crate) async fn comment_by_link(ask: CommentByLink, bus: Bus) -> Result<NudgeView, Refusal> {
    let words = ask.text.trim().to_owned();
    if words.is_empty() || words.chars().count() > link::COMMENT_MAX {
        return Err(
            Failure::permanent("disputes.bad_comment", "write a comment")
                .at(
                    "/text",
                    format!("between 1 and {} characters", link::COMMENT_MAX),
                )
                .into(),
        );
    }
    let mut tx = bus.begin().await?;
    let nudge = open(tx.conn(), &ask.token, &bus).await?;
    drop(tx);
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return read_nudge(ReadNudge { token: ask.token }, bus).await;
    };
    let (mut cases, _) = act.take_up(&[nudge.case], &[]).await?;
    let case = cases.pop().ok_or_else(no_link)?;
    if !case.is_open() {
        return Err(
            Failure::conflict("disputes.case_over", "the case is settled: thank you").into(),
        );
    }
    let not_since = act.now - TimeDelta::seconds(link::COMMENT_EVERY);
    let now = act.now;
    if !store::nudges::count(act.tx.conn(), nudge.id, link::COMMENTS_MAX, not_since, now).await? {
        return Err(Failure::conflict(
            "disputes.too_many_comments",
            format!(
                "at most {} comments by one link, and one every {} seconds",
                link::COMMENTS_MAX,
                link::COMMENT_EVERY
            ),
        )
        .into());
    }
    store::nudges::comment(act.tx.conn(), nudge.id, &words, now).await?;
    let who = Person {
        // Who that is, the nudge says as long as it may.
        actor: format!("link:{}", nudge.id),
        roles: Vec::new(),
    };
    let words = Words {
        text: &words,
        nudge: Some(nudge.id),
        evidence: None,
    };
    act.put_words(case.clone(), &case, "stakeholder_commented", words, &who)
        .await?;
    act.finish(&bus).await?;
    read_nudge(ReadNudge { token: ask.token }, bus).await
}
