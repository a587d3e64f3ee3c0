//! Links for people without an account: asked, read, answered.

use chrono::TimeDelta;
use contracts::api::{
    Refusal,
    controls::Person,
    disputes::{CommentByLink, NudgeMail, NudgeStakeholder, NudgeView, Nudged, ReadNudge},
};
use contracts::disputes::CaseId;
use kernel::london_date;
use mail::{Email, Handed};
use messaging::{Bus, Failure};
use rand::RngCore as _;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Act, no_case, text, views::detail};
use crate::{
    consume::SYSTEM,
    domain::{Refused, link, policy::Policy, question::Question},
    post::Post,
    store::{self, nudges::Nudge, words::Words},
};

const STAKEHOLDER_MAX: usize = 200;
const EMAIL_MAX: usize = 254;
/// Who hands an e-mail over has long an answer by then, or is gone.
const LOST_AFTER: TimeDelta = TimeDelta::seconds(60);
const LOST_AT_ONCE: i64 = 50;

/// Where the question is sent, if it is.
fn address(email: Option<&str>, post: &Post) -> Result<Option<String>, Failure> {
    let Some(email) = email.map(str::trim).filter(|email| !email.is_empty()) else {
        return Ok(None);
    };
    let wrong = |detail: &str| {
        Failure::permanent("disputes.no_email", "the question cannot be sent").at("/email", detail)
    };
    if email.len() > EMAIL_MAX || !mail::is_address(email) {
        return Err(wrong("this is no e-mail address"));
    }
    if post.mailer.is_none() {
        return Err(wrong(
            "no provider of e-mail is set up: leave it empty, and pass the link on yourself",
        ));
    }
    Ok(Some(email.to_owned()))
}

pub(crate) async fn nudge_stakeholder(
    ask: NudgeStakeholder,
    bus: Bus,
    post: Post,
) -> Result<Nudged, Refusal> {
    let question = text(&ask.question, "/question")?;
    let stakeholder = ask.stakeholder.trim().to_owned();
    if stakeholder.is_empty() || stakeholder.len() > STAKEHOLDER_MAX {
        return Err(
            Failure::permanent("disputes.no_stakeholder", "say who is asked")
                .at("/stakeholder", "between 1 and 200 characters")
                .into(),
        );
    }
    let email = address(ask.email.as_deref(), &post)?;
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
            mail: nudge.mail.map(|(_, state)| state),
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
        mail: email.map(|email| (email, NudgeMail::Sending)),
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
    // From here on the e-mail is claimed: nobody sends it again.
    act.finish(&bus).await?;
    let token = link::token(id, &secret);
    let mail = send(&bus, &post, &nudge, &case.case_ref, &token).await?;
    let mut tx = bus.begin().await?;
    Ok(Nudged {
        case: detail(tx.conn(), nudge.case, bus.now()).await?,
        token: Some(token),
        expires_at: nudge.expires_at,
        mail,
    })
}

/// Hands the question over, where it is to be sent, and marks what became of it.
async fn send(
    bus: &Bus,
    post: &Post,
    nudge: &Nudge,
    case_ref: &str,
    token: &str,
) -> Result<Option<NudgeMail>, Failure> {
    let (Some((to, _)), Some(mailer)) = (&nudge.mail, &post.mailer) else {
        return Ok(None);
    };
    let mut tx = bus.begin().await?;
    let account = named(tx.conn(), nudge.case).await?;
    drop(tx);
    let (name, from) = &post.options.from;
    let question = Question {
        asked_by: &nudge.asked_by,
        case_ref,
        account: &account,
        question: &nudge.question,
        link: &post.link(token),
        expires_at: nudge.expires_at,
        sender: name,
    };
    let email = Email {
        attached: &[],
        from: (name, from),
        to,
        about: nudge.id,
        at: nudge.asked_at,
        subject: &question.subject(),
        text: &question.text(),
        html: None,
    };
    let handed = match email.bytes() {
        Ok(bytes) => post.send(mailer, to, &bytes).await,
        Err(error) => Handed::Refused(error.to_string()),
    };
    // The provider's words may name whom it was sent to.
    let (state, said) = match handed {
        Handed::Sent(_) => (NudgeMail::Sent, "the question went out by e-mail"),
        Handed::Refused(why) => {
            tracing::warn!(nudge = %nudge.id, "a question did not go out: {why}");
            (NudgeMail::Refused, "the question did not go out by e-mail")
        }
        Handed::Unknown(why) => {
            tracing::warn!(nudge = %nudge.id, "nobody knows whether a question went out: {why}");
            (
                NudgeMail::Unknown,
                "nobody knows whether the question went out by e-mail",
            )
        }
    };
    mark(bus, nudge.id, nudge.case, (state, said), &nudge.asked_by).await?;
    Ok(Some(state))
}

async fn named(conn: &mut PgConnection, case: CaseId) -> Result<String, Failure> {
    let case = store::cases::look_at(conn, case)
        .await?
        .ok_or_else(no_link)?;
    Ok(store::views::account(conn, case.account)
        .await?
        .map_or(case.account_ref, |(_, name)| name))
}

/// Notes once what became of an e-mail: for the case, and for whoever reads it.
async fn mark(
    bus: &Bus,
    nudge: Uuid,
    case: CaseId,
    said: (NudgeMail, &str),
    actor: &str,
) -> Result<(), Failure> {
    let Some(mut act) = Act::begin(bus, Uuid::new_v5(&nudge, b"e-mail").into()).await? else {
        return Ok(());
    };
    let (state, words) = said;
    if !store::nudges::mark(act.tx.conn(), nudge, state).await? {
        return Ok(());
    }
    let (mut cases, _) = act.take_up(&[case], &[]).await?;
    let case = cases.pop().ok_or_else(|| no_case(case))?;
    let step = match state {
        NudgeMail::Sent => "question_sent",
        NudgeMail::Refused => "question_refused",
        NudgeMail::Sending | NudgeMail::Unknown => "question_unknown",
    };
    let who = Person {
        actor: actor.to_owned(),
        roles: Vec::new(),
    };
    act.put(case.clone(), Some(&case), step, words.to_owned(), &who)
        .await?;
    act.finish(bus).await
}

/// What was claimed and never marked, because who handed it over is gone: it is
/// unknown, and not sent again. Its link was shown to nobody else.
pub(crate) async fn lost_emails(bus: Bus) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    let before = bus.now() - LOST_AFTER;
    let lost = store::nudges::lost(tx.conn(), before, LOST_AT_ONCE).await?;
    drop(tx);
    for (nudge, case) in lost {
        let said = (
            NudgeMail::Unknown,
            "it was stopped while the question was handed over: ask again if no answer comes",
        );
        mark(&bus, nudge, case, said, SYSTEM).await?;
    }
    Ok(())
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
