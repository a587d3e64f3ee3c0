//! Puts the browser files where the crate embeds them.
//!
//! Our own files are always there. Third-party files come from `npm ci` and are
//! taken only if their bytes are the ones in `web/manifest.sha256`; without them
//! the crate builds and the pages say what is missing.

#![allow(
    clippy::disallowed_methods,
    reason = "a build script is configured by its environment"
)]

use std::{env, fmt::Write as _, fs, path::Path};

use sha2::{Digest as _, Sha256};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for watched in [
        "web/app",
        "web/manifest.sha256",
        "web/node_modules/.package-lock.json",
    ] {
        println!("cargo:rerun-if-changed={watched}");
    }
    println!("cargo:rerun-if-env-changed=COUNTERFOIL_ASSETS_REQUIRED");

    let web = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("web");
    let out = env::var("OUT_DIR")?;
    let out = Path::new(&out);
    let mut all = Sha256::new();
    let mut table = String::from("&[\n");
    let mut embed = |name: &str, bytes: &[u8]| -> Result<(), Box<dyn std::error::Error>> {
        write_if_changed(&out.join(name), bytes)?;
        all.update(name);
        all.update(bytes);
        writeln!(
            table,
            "    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\"))),"
        )?;
        Ok(())
    };

    let mut own: Vec<_> = fs::read_dir(web.join("app"))?.collect::<Result<_, _>>()?;
    own.sort_by_key(fs::DirEntry::file_name);
    for file in own {
        let name = file
            .file_name()
            .into_string()
            .map_err(|name| format!("{} is no UTF-8", name.display()))?;
        // Tests of the modules stand beside them.
        if !name.ends_with(".test.js") {
            embed(&name, &fs::read(file.path())?)?;
        }
    }

    let mut missing = Vec::new();
    for line in fs::read_to_string(web.join("manifest.sha256"))?.lines() {
        let (expected, path) = line
            .split_once("  ")
            .ok_or("manifest.sha256: expected `<sha256>  <path>`")?;
        let name = Path::new(path)
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or("manifest.sha256: no file name")?;
        let Ok(bytes) = fs::read(web.join(path)) else {
            missing.push(path.to_owned());
            continue;
        };
        let found = hex::encode(Sha256::digest(&bytes));
        if found != expected {
            return Err(format!("web/{path} has SHA-256 {found}, expected {expected}").into());
        }
        embed(name, &bytes)?;
    }
    if !missing.is_empty() && env::var("COUNTERFOIL_ASSETS_REQUIRED").is_ok_and(|v| v == "1") {
        return Err(format!(
            "missing {}: run `npm ci --ignore-scripts` in services/gateway/web",
            missing.join(", ")
        )
        .into());
    }

    table.push_str("]\n");
    write_if_changed(&out.join("assets.rs"), table.as_bytes())?;
    println!(
        "cargo:rustc-env=GATEWAY_ASSETS_HASH={}",
        &hex::encode(all.finalize())[..16]
    );
    println!(
        "cargo:rustc-env=GATEWAY_ASSETS_COMPLETE={}",
        missing.is_empty()
    );
    Ok(())
}

/// A newer time stamp alone would compile the crate again.
fn write_if_changed(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes)
}
