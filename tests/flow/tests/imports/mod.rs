//! A file as a person uploads it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use contracts::api::ingestion::{
    AppendImport, GetImport, ImportState, ImportView, OpenImport, SubmitImport,
};
use messaging::Bus;
use sha2::{Digest as _, Sha256};
use testkit::{DEADLINE, eventually_some};

/// Uploads a file and waits until it is read.
pub(crate) async fn import(gateway: &Bus, file: &[u8]) -> ImportView {
    let open = OpenImport {
        file_name: "report.xml".into(),
        format: None,
        dry_run: false,
        actor: "user:pat".into(),
    };
    let import_id = gateway.ask(&open).await.unwrap().import_id;
    let piece = AppendImport {
        import_id,
        piece: 0,
        base64: STANDARD.encode(file),
    };
    gateway.ask(&piece).await.unwrap();
    let submit = SubmitImport {
        import_id,
        sha256: hex::encode(Sha256::digest(file)),
    };
    gateway.ask(&submit).await.unwrap();
    eventually_some("the file is read", DEADLINE, async || {
        let view = gateway.ask(&GetImport { import_id }).await.unwrap();
        let over = !matches!(
            view.state,
            ImportState::Uploading | ImportState::Queued | ImportState::Reading
        );
        over.then_some(view)
    })
    .await
}
