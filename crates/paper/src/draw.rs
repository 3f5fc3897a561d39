//! The PDF of what was laid out, with its parts named for who has it read aloud (PDF/UA-1).

use crate::PaperError;
use crate::fonts::{Fonts, meant};
use crate::layout::{BARS_HEIGHT, BARS_MODULE, Belongs, Laid, Mark, Node, PAGE, Part, Work};
use krilla::color::luma;
use krilla::configure::{Accessibility, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule, Stroke};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, ListNumbering, SpanTag, TableHeaderScope, Tag, TagGroup, TagKind,
    TagTree,
};
use krilla::{Document, SerializeSettings};
use std::num::NonZeroU16;

/// Deepest that parts are in parts: a table, its body, a row, a cell.
const DEPTH_MAX: usize = 8;

pub(crate) fn draw(paper: &Work<'_>, laid: &Laid, fonts: &Fonts) -> Result<Vec<u8>, PaperError> {
    let configuration = ConfigurationBuilder::new().with_accessibility_validator(Accessibility::UA1).finish();
    let configuration = configuration.map_err(|_| form("its settings do not go together"))?;
    let settings = SerializeSettings { configuration, enable_tagging: true, ..SerializeSettings::default() };
    let mut document = Document::new_with(settings);
    let mut found: Vec<Vec<Identifier>> = Vec::new();
    found.resize_with(laid.nodes.len(), Vec::new);
    for page in &laid.pages {
        let size = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or_else(|| form("a page has no size"))?;
        let mut sheet = document.start_page_with(size);
        let mut surface = sheet.surface();
        for mark in &page.marks {
            match mark {
                Mark::Text { text, .. } if text.trim().is_empty() => {}
                Mark::Text { x, y, size, bold, text, belongs } => {
                    let meant = meant(text);
                    let id = match belongs {
                        Belongs::Node(_) => {
                            let span = SpanTag::empty().with_actual_text(meant.as_deref());
                            surface.start_tagged(ContentTag::Span(span))
                        }
                        Belongs::Frame => surface.start_tagged(frame(ArtifactType::PaginationOther)),
                    };
                    write(&mut surface, fonts, (*x, *y), *size, *bold, text);
                    surface.end_tagged();
                    if let Belongs::Node(node) = belongs
                        && let Some(ids) = found.get_mut(*node)
                    {
                        ids.push(id);
                    }
                }
                Mark::Rule { y, weight } => {
                    surface.start_tagged(frame(ArtifactType::Layout));
                    line(&mut surface, (48.0, *y), (PAGE.0 - 48.0, *y), *weight);
                    surface.end_tagged();
                }
                Mark::Line { from, to, weight } => {
                    surface.start_tagged(frame(ArtifactType::Layout));
                    line(&mut surface, *from, *to, *weight);
                    surface.end_tagged();
                }
                // The text that the bars say stands on the page too.
                Mark::Bars { x, y, widths } => {
                    surface.start_tagged(frame(ArtifactType::PaginationOther));
                    bars(&mut surface, (*x, *y), widths);
                    surface.end_tagged();
                }
            }
        }
        surface.finish();
        sheet.finish();
    }
    let mut tree = TagTree::new().with_lang(Some(paper.language.to_owned()));
    for root in &laid.roots {
        if let Some(group) = group(laid, *root, &mut found, 0) {
            tree.push(group);
        }
    }
    document.set_tag_tree(tree);
    document.set_outline(outline(laid));
    document.set_metadata(
        Metadata::new()
            .title(paper.title.to_owned())
            .language(paper.language.to_owned())
            .creator("Tacet".to_owned())
            .producer("Tacet".to_owned()),
    );
    // Neither a value of the paper nor where it stands goes into the error.
    document.finish().map_err(|error| match error {
        krilla::error::KrillaError::Validation(errors) => form(&format!("{} rules of PDF/UA are broken", errors.len())),
        krilla::error::KrillaError::Font(..) => form("a font cannot be put into it"),
        _ => form("its parts do not go together"),
    })
}

fn form(what: &str) -> PaperError {
    PaperError::Form(what.to_owned())
}

fn frame(kind: ArtifactType) -> ContentTag<'static> {
    ContentTag::Artifact(Artifact::with_kind(kind))
}

fn write(surface: &mut Surface<'_>, fonts: &Fonts, (mut x, y): (f32, f32), size: f32, bold: bool, text: &str) {
    surface.set_stroke(None);
    surface.set_fill(Some(Fill {
        paint: luma::Color::new(0).into(),
        opacity: NormalizedF32::ONE,
        rule: FillRule::NonZero,
    }));
    for run in fonts.runs(text, bold) {
        surface.draw_glyphs(Point::from_xy(x, y), &run.glyphs, run.font, run.text, size, false);
        x += run.width * size;
    }
}

fn line(surface: &mut Surface<'_>, from: (f32, f32), to: (f32, f32), weight: f32) {
    let mut path = PathBuilder::new();
    path.move_to(from.0, from.1);
    path.line_to(to.0, to.1);
    let Some(path) = path.finish() else { return };
    surface.set_fill(None);
    surface.set_stroke(Some(Stroke { paint: luma::Color::new(0).into(), width: weight, ..Stroke::default() }));
    surface.draw_path(&path);
}

fn bars(surface: &mut Surface<'_>, (mut x, y): (f32, f32), widths: &[u8]) {
    let mut path = PathBuilder::new();
    for (place, width) in widths.iter().enumerate() {
        let width = f32::from(*width) * BARS_MODULE;
        // Bars stand at even places, gaps at odd ones.
        if place % 2 == 0 {
            path.move_to(x, y);
            path.line_to(x + width, y);
            path.line_to(x + width, y + BARS_HEIGHT);
            path.line_to(x, y + BARS_HEIGHT);
            path.close();
        }
        x += width;
    }
    let Some(path) = path.finish() else { return };
    surface.set_stroke(None);
    surface.set_fill(Some(Fill {
        paint: luma::Color::new(0).into(),
        opacity: NormalizedF32::ONE,
        rule: FillRule::NonZero,
    }));
    surface.draw_path(&path);
}

/// A part with all that is in it; none where nothing is.
fn group(laid: &Laid, place: usize, found: &mut [Vec<Identifier>], depth: usize) -> Option<TagGroup> {
    let node: &Node = laid.nodes.get(place)?;
    if depth > DEPTH_MAX {
        return None;
    }
    let mut group = TagGroup::new(kind(&node.part));
    // A cell that says nothing is there all the same: without it the columns would shift.
    let mut empty = !matches!(node.part, Part::Cell | Part::HeadCell);
    let leaves = found.get_mut(place).map(std::mem::take).unwrap_or_default();
    if node.part == Part::Item {
        let mut body = TagGroup::new(Tag::LBody);
        empty = leaves.is_empty();
        leaves.into_iter().for_each(|leaf| body.push(leaf));
        group.push(body);
    } else {
        for leaf in leaves {
            empty = false;
            group.push(leaf);
        }
    }
    for child in &node.children {
        if let Some(child) = self::group(laid, *child, found, depth + 1) {
            empty = false;
            group.push(child);
        }
    }
    (!empty).then_some(group)
}

fn kind(part: &Part) -> TagKind {
    match part {
        Part::Heading(level, text) => {
            let level = NonZeroU16::new(u16::from(*level)).unwrap_or(NonZeroU16::MIN);
            Tag::Hn(level, Some(text.clone())).into()
        }
        Part::Text => Tag::P.into(),
        Part::List => Tag::L(ListNumbering::Disc).into(),
        Part::Item => Tag::LI.into(),
        Part::Table => Tag::Table.into(),
        Part::Head => Tag::THead.into(),
        Part::Body => Tag::TBody.into(),
        Part::Row => Tag::TR.into(),
        Part::HeadCell => Tag::TH(TableHeaderScope::Column).into(),
        Part::Cell => Tag::TD.into(),
    }
}

/// The chapters, with what is below each.
fn outline(laid: &Laid) -> Outline {
    let mut chapters: Vec<OutlineNode> = Vec::new();
    for (place, page, y) in &laid.headings {
        let Some(Node { part: Part::Heading(level, text), .. }) = laid.nodes.get(*place) else { continue };
        let node = OutlineNode::new(text.clone(), XyzDestination::new(*page, Point::from_xy(0.0, *y)));
        match chapters.last_mut().filter(|_| *level > 2) {
            Some(chapter) => chapter.push_child(node),
            None => chapters.push(node),
        }
    }
    let mut outline = Outline::new();
    chapters.into_iter().for_each(|chapter| outline.push_child(chapter));
    outline
}
