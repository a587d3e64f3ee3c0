//! Writes `schemas/`, as `make schemas` does. Refuses to overwrite a schema
//! with one that somebody would trip over.

use std::{fs, path::Path, process::ExitCode};

use contracts::schema::{files, incompatibilities};

fn main() -> std::io::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let mut refused = false;
    for (path, text) in files() {
        let file = root.join(&path);
        if let Ok(before) = fs::read_to_string(&file)
            && path.starts_with("messages/")
        {
            let (old, new) = (serde_json::from_str(&before)?, serde_json::from_str(&text)?);
            for problem in incompatibilities(&old, &new) {
                eprintln!("{path}{problem}: a change of meaning is a new version");
                refused = true;
            }
        }
        if refused {
            continue;
        }
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, text)?;
    }
    Ok(if refused {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
