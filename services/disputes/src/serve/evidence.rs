//! Files as evidence: kept, and given back.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::api::{
    Refusal,
    disputes::{CaseDetail, CaseStep, EvidenceFile, FetchEvidence, KeepEvidence},
};
use kernel::london_date;
use messaging::{Bus, Failure};
use sha2::{Digest as _, Sha256};

use super::{Act, commands::shown, no_case, text};
use crate::{
    domain::{
        Refused, paper,
        steps::{self, Doing},
    },
    store::{
        self,
        evidence::{File, Paper},
        words::Words,
    },
};

const LABEL_MAX: usize = 200;
const REFERENCE_MAX: usize = 500;

fn wrong(pointer: &str, detail: impl Into<String>) -> Failure {
    Failure::permanent(
        "disputes.bad_evidence",
        "the evidence is not described well",
    )
    .at(pointer, detail)
}

/// A paper that lies elsewhere, as it was described.
pub(super) fn described<'p>(
    label: &'p str,
    reference: Option<&'p str>,
    sha256: Option<&'p str>,
) -> Result<Paper<'p>, Failure> {
    let given = |text: Option<&'p str>| text.map(str::trim).filter(|text| !text.is_empty());
    let (reference, sha256) = (given(reference), given(sha256));
    if reference.is_some_and(|text| text.len() > REFERENCE_MAX) {
        return Err(wrong("/reference", "at most 500 characters"));
    }
    if sha256.is_some_and(|text| text.len() != 64 || !text.chars().all(|c| c.is_ascii_hexdigit())) {
        return Err(wrong("/sha256", "64 hexadecimal digits"));
    }
    if reference.is_none() && sha256.is_none() {
        return Err(wrong("/reference", "say where it is kept, or its hash"));
    }
    Ok(Paper {
        label: labelled(label)?,
        reference,
        sha256,
        file: None,
    })
}

fn labelled(label: &str) -> Result<&str, Failure> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > LABEL_MAX {
        return Err(wrong("/label", "between 1 and 200 characters"));
    }
    Ok(label)
}

pub(crate) async fn keep(ask: KeepEvidence, bus: Bus) -> Result<CaseDetail, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let label = labelled(&ask.label)?;
    let name = paper::name(&ask.file_name).ok_or_else(|| wrong("/file", "the file has no name"))?;
    let bytes = BASE64_STANDARD
        .decode(&ask.base64)
        .map_err(|_| wrong("/file", "the file is not base64"))?;
    if bytes.is_empty() {
        return Err(wrong("/file", "the file is empty").into());
    }
    if bytes.len() > KeepEvidence::MAX_BYTES {
        let most = KeepEvidence::MAX_BYTES / 1000;
        return Err(wrong("/file", format!("a file has at most {most} kB")).into());
    }
    let sha256 = hex::encode(Sha256::digest(&bytes));
    if !ask.sha256.trim().eq_ignore_ascii_case(&sha256) {
        let detail = format!("the file that came has the SHA-256 {sha256}: send it again");
        return Err(wrong("/sha256", detail).into());
    }
    let media_type = paper::media_type(&bytes, london_date(bus.now())).ok_or_else(|| {
        wrong(
            "/file",
            "PDF, PNG, JPEG and text are kept, whatever the file is called",
        )
    })?;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, ask.case_id).await;
    };
    let (mut cases, items) = act.take_up(&[ask.case_id], &[]).await?;
    let case = cases.pop().ok_or_else(|| no_case(ask.case_id))?;
    if ask.version.is_some_and(|version| version != case.version) {
        return Err(Failure::of(Refused::Changed(case.version)).into());
    }
    if !act.policy.may("attach", &ask.person, Some(&case)) {
        return Err(Failure::of(Refused::NotYours).into());
    }
    let most = act.policy.evidence_files();
    if store::evidence::files(act.tx.conn(), case.id).await? >= most {
        return Err(wrong("/file", format!("a case keeps at most {most} files")).into());
    }
    let doing = Doing {
        policy: &act.policy,
        person: &ask.person,
        reason: &reason,
        now: act.now,
    };
    let step = CaseStep::Attach {
        label: label.to_owned(),
        reference: None,
        sha256: Some(sha256.clone()),
    };
    let mut after = case.clone();
    let done = steps::step(&mut after, &step, doing, &items).map_err(Failure::of)?;
    let paper = Paper {
        label,
        reference: None,
        sha256: Some(&sha256),
        file: Some(File {
            name: &name,
            media_type,
            bytes: &bytes,
        }),
    };
    let id = ask.command_id.as_uuid();
    let (now, actor) = (act.now, &ask.person.actor);
    store::evidence::put(act.tx.conn(), id, case.id, &paper, actor, now).await?;
    let said = Words {
        text: &done.detail,
        nudge: None,
        evidence: Some(id),
    };
    act.put_words(after, &case, done.step, said, &ask.person)
        .await?;
    act.finish(&bus).await?;
    shown(&bus, ask.case_id).await
}

pub(crate) async fn fetch(ask: FetchEvidence, bus: Bus) -> Result<EvidenceFile, Refusal> {
    let mut tx = bus.begin().await?;
    let case = store::cases::look_at(tx.conn(), ask.case_id)
        .await?
        .ok_or_else(|| no_case(ask.case_id))?;
    let policy = crate::domain::policy::Policy::on(london_date(bus.now()));
    if !policy.may("read_file", &ask.person, Some(&case)) {
        return Err(Failure::of(Refused::NotYours).into());
    }
    let kept = store::evidence::fetch(tx.conn(), case.id, ask.evidence_id)
        .await?
        .ok_or_else(|| {
            Failure::not_found(
                "disputes.no_file",
                "no file is kept here: it lies elsewhere, or was erased",
            )
        })?;
    if hex::encode(Sha256::digest(&kept.bytes)) != kept.sha256 {
        return Err(Failure::bug(
            "disputes.file_differs",
            "the file is not what was kept: its SHA-256 is another",
        )
        .into());
    }
    Ok(EvidenceFile {
        name: kept.name,
        media_type: kept.media_type,
        sha256: kept.sha256,
        base64: BASE64_STANDARD.encode(&kept.bytes),
    })
}
