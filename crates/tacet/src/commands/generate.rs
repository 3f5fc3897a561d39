//! `tacet generate`: synthetic records to try things with. Nobody in them is real.

use crate::args::GenerateArgs;
use crate::error::CliError;
use crate::exit;
use crate::open;
use crate::output::Output;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use tacet_testkit::{Hospital, HospitalOptions};

pub(crate) fn run(args: &GenerateArgs, output: &Output) -> Result<u8, CliError> {
    let options = HospitalOptions { seed: args.seed, patients: args.patients, now: open::clock().now() };
    let hospital = Hospital::new(options);
    match &args.output {
        None => write(&hospital, &mut BufWriter::new(std::io::stdout().lock()), Path::new("-"))?,
        Some(path) => {
            let file = File::create_new(path).map_err(CliError::file(path, "cannot be made; it must not exist yet"))?;
            let mut out = BufWriter::new(file);
            if path.extension().is_some_and(|end| end == "gz") {
                let mut packed = GzEncoder::new(&mut out, Compression::fast());
                write(&hospital, &mut packed, path)?;
                packed.finish().map_err(CliError::file(path, "cannot be written"))?;
            } else {
                write(&hospital, &mut out, path)?;
            }
            out.flush().map_err(CliError::file(path, "cannot be written"))?;
            let text = format!("{} synthetic patients in `{}`", args.patients, path.display());
            output.result("generate", json!({ "file": path, "patients": args.patients, "seed": args.seed }), &text);
        }
    }
    Ok(exit::OK)
}

fn write(hospital: &Hospital, out: &mut dyn Write, path: &Path) -> Result<(), CliError> {
    hospital.write_ndjson(0..hospital.options().patients, out).map_err(CliError::file(path, "cannot be written"))
}
