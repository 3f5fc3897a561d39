//! The drill's proof of itself: before anything is believed, the very scanner that will be used must find planted strings in
//! every form and every packing, at a border between two pieces too. Otherwise the drill is blind and says so.

use super::encodings::{Encoding, patterns};
use super::look::{Found, Thief};
use super::needles::Needle;
use super::packed::{Packing, pack};
use super::scanner::{PIECE_BYTES, Scanner};
use super::scratch::{Area, Scratch};
use crate::error::CliError;
use tacet_types::{Rng, SeededRng};

/// Noise around a planted string, in bytes.
const NOISE_BYTES: usize = 5000;

/// Plants and looks. Gives how many plants were found, which is all of them.
pub(super) fn prove(scratch: &Scratch, scanner: &Scanner, needles: &[Needle]) -> Result<u64, CliError> {
    let mut proved = 0;
    for encoding in Encoding::ALL {
        // The first needle that has this form, to which the pattern belongs where several share it.
        let planted = needles.iter().find_map(|needle| {
            let pattern = patterns(&needle.text, needle.depth).into_iter().find(|(form, _)| *form == encoding)?.1;
            Some((needle, pattern))
        });
        let Some((needle, pattern)) = planted else { return Err(blind(encoding, None)) };
        found(scratch, scanner, needles, needle, &around(&pattern, NOISE_BYTES), encoding, None)?;
        proved += 1;
        for packing in Packing::ALL {
            // As a record would have it, with what packing feeds on.
            let text = [
                &br#"{"resourceType":"Patient","active":true,"name":[{"use":"official","text":""#[..],
                &pattern,
                br#""}]}"#,
            ]
            .concat();
            let packed = pack(packing, &text).ok_or_else(|| blind(encoding, Some(packing)))?;
            found(scratch, scanner, needles, needle, &around(&packed, NOISE_BYTES), encoding, Some(packing))?;
            proved += 1;
        }
    }
    let Some(needle) = needles.iter().find(|needle| needle.kind == "full name").or(needles.first()) else {
        return Err(blind(Encoding::Plain, None));
    };
    let border = around(needle.text.as_bytes(), PIECE_BYTES - needle.text.len() / 2);
    found(scratch, scanner, needles, needle, &border, Encoding::Plain, None)?;
    let packed = pack(Packing::Gzip, needle.text.repeat(3).as_bytes())
        .ok_or_else(|| blind(Encoding::Plain, Some(Packing::Gzip)))?;
    let border = around(&packed, PIECE_BYTES - packed.len() / 2);
    found(scratch, scanner, needles, needle, &border, Encoding::Plain, Some(Packing::Gzip))?;
    Ok(proved + 2)
}

fn around(planted: &[u8], before_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; before_bytes + planted.len() + NOISE_BYTES];
    SeededRng::new(before_bytes as u64).fill(&mut bytes);
    bytes.iter_mut().skip(before_bytes).zip(planted).for_each(|(to, from)| *to = *from);
    bytes
}

fn found(
    scratch: &Scratch,
    scanner: &Scanner,
    needles: &[Needle],
    needle: &Needle,
    bytes: &[u8],
    encoding: Encoding,
    packing: Option<Packing>,
) -> Result<(), CliError> {
    let path = scratch.area(Area::Temporary).join("planted");
    std::fs::write(&path, bytes).map_err(CliError::file(&path, "cannot be written"))?;
    let mut thief = Thief::new(scanner, needles);
    let looked = thief.look_at_file(&path, "planted");
    std::fs::remove_file(&path).map_err(CliError::file(&path, "cannot be removed"))?;
    looked?;

    let wanted = Found { place: "planted".to_owned(), kind: needle.kind, encoding, packing };
    if thief.found.contains_key(&wanted) { Ok(()) } else { Err(blind(encoding, packing)) }
}

fn blind(encoding: Encoding, packing: Option<Packing>) -> CliError {
    let packing = packing.map_or(String::new(), |packing| format!(" in {}", packing.name()));
    CliError::Usage(format!(
        "the drill is blind: it did not find a string that it planted itself ({}{packing}); nothing can be concluded",
        encoding.name()
    ))
}
