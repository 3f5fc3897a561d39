//! What stands where: lines on pages, and the parts of the paper that they belong to.

mod table;

use crate::barcode::code128;
use crate::fonts::Fonts;
use crate::{Block, Book, Grid, Paper, PaperError, TEXT_BYTES_MAX};

/// Width and height of A4, in points (1/72 inch).
pub(crate) const PAGE: (f32, f32) = (595.28, 841.89);
const LEFT: f32 = 48.0;
const RIGHT: f32 = PAGE.0 - 48.0;
const WIDTH: f32 = RIGHT - LEFT;
const TOP: f32 = 40.0;
/// No line of the text stands below this.
const BOTTOM: f32 = PAGE.1 - 64.0;
const FOOT: f32 = PAGE.1 - 44.0;

/// Sizes of letters, in points.
#[derive(Clone, Copy)]
struct Sizes {
    title: f32,
    text: f32,
    cell: f32,
    small: f32,
}

/// What is read at a desk.
const AT_A_DESK: Sizes = Sizes { title: 17.0, text: 9.5, cell: 8.0, small: 7.5 };
/// What is read standing, by poor light.
const AT_A_BED: Sizes = Sizes { title: 16.0, text: 10.5, cell: 9.5, small: 8.5 };
/// Size of the first line at the top of a chapter's pages.
const NAME_SIZE: f32 = 15.0;
/// Height of a barcode, and the width of its narrowest bar: scanners read half of that.
pub(crate) const BARS_HEIGHT: f32 = 26.0;
pub(crate) const BARS_MODULE: f32 = 1.0;
/// Height of a line, in parts of the size of its letters.
const LEADING: f32 = 1.32;
/// Between a line of a table and its text.
const CELL_GAP: f32 = 3.0;
/// Most lines of each text of what stands at the top of every page: of the first (a name), and of the others. A name is never what has another text left out.
const NAME_LINES_MAX: usize = 4;
const ABOUT_LINES_MAX: usize = 2;
/// Most texts there.
const ABOUT_TEXTS_MAX: usize = 8;

/// What a part of the paper is, for who has it read aloud.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Part {
    Heading(u8, String),
    Text,
    List,
    Item,
    Table,
    Head,
    Body,
    Row,
    HeadCell,
    Cell,
}

/// A part with those in it, by their places.
pub(crate) struct Node {
    pub(crate) part: Part,
    pub(crate) children: Vec<usize>,
}

/// To what a text belongs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Belongs {
    /// This part.
    Node(usize),
    /// The frame of the page.
    Frame,
}

pub(crate) enum Mark {
    Text {
        x: f32,
        y: f32,
        size: f32,
        bold: bool,
        text: String,
        belongs: Belongs,
    },
    Rule {
        y: f32,
        weight: f32,
    },
    /// A line from one point to another.
    Line {
        from: (f32, f32),
        to: (f32, f32),
        weight: f32,
    },
    /// Bars and gaps in turn, in modules, from a point to the right.
    Bars {
        x: f32,
        y: f32,
        widths: Vec<u8>,
    },
}

#[derive(Default)]
pub(crate) struct Page {
    pub(crate) marks: Vec<Mark>,
}

/// A paper with a place for everything.
pub(crate) struct Laid {
    pub(crate) pages: Vec<Page>,
    pub(crate) nodes: Vec<Node>,
    /// The parts that are in no other, in their order.
    pub(crate) roots: Vec<usize>,
    /// Headings: the part's place, the page, how far down.
    pub(crate) headings: Vec<(usize, usize, f32)>,
    /// Where each chapter begins, counted from 1.
    begins: Vec<usize>,
    /// Texts that are the number of the page where a chapter begins: page, mark, chapter.
    numbers: Vec<(usize, usize, usize)>,
}

/// What is set: a paper is a book of one chapter.
pub(crate) struct Work<'a> {
    pub(crate) language: &'a str,
    pub(crate) title: &'a str,
    foot: &'a str,
    counting: &'a str,
    sizes: Sizes,
    chapters: Vec<Set<'a>>,
}

struct Set<'a> {
    title: &'a str,
    about: Vec<(&'a str, f32)>,
    code: Option<&'a str>,
    blocks: &'a [Block],
}

impl<'a> Work<'a> {
    pub(crate) fn of_paper(paper: &'a Paper) -> Self {
        let chapter =
            Set { title: &paper.title, about: vec![(&paper.about, AT_A_DESK.text)], code: None, blocks: &paper.blocks };
        Self {
            language: &paper.language,
            title: &paper.title,
            foot: &paper.foot,
            counting: &paper.counting,
            sizes: AT_A_DESK,
            chapters: vec![chapter],
        }
    }

    pub(crate) fn of_book(book: &'a Book) -> Self {
        let size = |place: usize| if place == 0 { NAME_SIZE } else { AT_A_BED.text };
        let chapters = book.chapters.iter().map(|chapter| Set {
            title: &chapter.title,
            about: chapter.about.iter().enumerate().map(|(place, line)| (line.as_str(), size(place))).collect(),
            code: chapter.code.as_deref(),
            blocks: &chapter.blocks,
        });
        Self {
            language: &book.language,
            title: &book.title,
            foot: &book.foot,
            counting: &book.counting,
            sizes: AT_A_BED,
            chapters: chapters.collect(),
        }
    }
}

struct Setter<'a> {
    fonts: &'a Fonts,
    laid: Laid,
    /// How far down the page is full.
    y: f32,
    sizes: Sizes,
    about: Vec<(String, f32)>,
    bars: Option<Vec<u8>>,
    pages_max: usize,
}

pub(crate) fn lay_out(work: &Work<'_>, fonts: &Fonts, pages_max: usize) -> Result<Laid, PaperError> {
    let laid = Laid {
        pages: Vec::new(),
        nodes: Vec::new(),
        roots: Vec::new(),
        headings: Vec::new(),
        begins: Vec::new(),
        numbers: Vec::new(),
    };
    let mut setter = Setter { fonts, laid, y: 0.0, sizes: work.sizes, about: Vec::new(), bars: None, pages_max };
    for chapter in &work.chapters {
        setter.chapter(chapter)?;
    }
    let Setter { mut laid, .. } = setter;
    for (page, mark, chapter) in std::mem::take(&mut laid.numbers) {
        let number = laid.begins.get(chapter).map_or_else(String::new, usize::to_string);
        if let Some(Mark::Text { text, .. }) = laid.pages.get_mut(page).and_then(|page| page.marks.get_mut(mark)) {
            *text = number;
        }
    }
    let pages = laid.pages.len();
    for (place, page) in laid.pages.iter_mut().enumerate() {
        foot(work, fonts, page, place + 1, pages);
    }
    Ok(laid)
}

fn foot(paper: &Work<'_>, fonts: &Fonts, page: &mut Page, number: usize, pages: usize) {
    let small = paper.sizes.small;
    let counting = paper.counting.replace("{page}", &number.to_string()).replace("{pages}", &pages.to_string());
    let counting = fonts.printable(&counting).into_owned();
    let wide = fonts.width(&counting, false) * small;
    let room = (WIDTH - wide - 12.0) / small;
    page.marks.push(Mark::Rule { y: FOOT - 11.0, weight: 0.4 });
    let lines = fonts.lines(&fonts.printable(bounded(paper.foot)), false, room);
    let mut y = FOOT;
    for text in lines.into_iter().take(2) {
        page.marks.push(Mark::Text { x: LEFT, y, size: small, bold: false, text, belongs: Belongs::Frame });
        y += small * LEADING;
    }
    let x = RIGHT - wide;
    let (y, size, belongs) = (FOOT, small, Belongs::Frame);
    page.marks.push(Mark::Text { x, y, size, bold: false, text: counting, belongs });
}

/// As much of a text as is taken.
fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text)
}

/// How wide a barcode is.
fn bars_width(widths: &[u8]) -> f32 {
    widths.iter().map(|width| f32::from(*width)).sum::<f32>() * BARS_MODULE
}

impl Setter<'_> {
    /// A chapter, on pages of its own.
    fn chapter(&mut self, chapter: &Set<'_>) -> Result<(), PaperError> {
        self.bars = chapter.code.and_then(code128);
        let beside = self.bars.as_deref().map_or(0.0, |bars| bars_width(bars) + 14.0);
        self.about.clear();
        let mut down = 0.0;
        for (place, (text, size)) in chapter.about.iter().take(ABOUT_TEXTS_MAX).enumerate() {
            // What stands below the barcode has all of the width.
            let width = if down < BARS_HEIGHT + 4.0 { WIDTH - beside } else { WIDTH };
            let mut lines = self.fonts.lines(&self.fonts.printable(bounded(text)), true, width / size);
            let max = if place == 0 { NAME_LINES_MAX } else { ABOUT_LINES_MAX };
            if lines.len() > max {
                lines.truncate(max);
                lines.last_mut().into_iter().for_each(|line| line.push('…'));
            }
            for line in lines {
                self.about.push((line, *size));
                down += size * LEADING;
            }
        }
        self.new_page()?;
        self.laid.begins.push(self.laid.pages.len());
        if !chapter.title.is_empty() {
            self.heading(0, chapter.title, 0.0)?;
        }
        for (place, block) in chapter.blocks.iter().enumerate() {
            match block {
                Block::Heading(level, text) => {
                    let below = match chapter.blocks.get(place + 1) {
                        Some(Block::Grid(grid)) => table::together(grid),
                        _ => 0.0,
                    };
                    self.heading((*level).clamp(1, 3), text, below)?;
                }
                Block::Text(text) => self.text(text)?,
                Block::List(items) => self.list(items)?,
                Block::Table(table) => self.grid(&Grid::from(table))?,
                Block::Grid(grid) => self.grid(grid)?,
                Block::Frame(lines) => self.framed(lines)?,
            }
        }
        Ok(())
    }

    fn new_page(&mut self) -> Result<(), PaperError> {
        if self.laid.pages.len() >= self.pages_max {
            return Err(PaperError::TooLong { pages_max: self.pages_max });
        }
        let mut page = Page::default();
        let mut y = TOP;
        for (text, size) in self.about.clone() {
            let belongs = Belongs::Frame;
            page.marks.push(Mark::Text { x: LEFT, y: y + size, size, bold: true, text, belongs });
            y += size * LEADING;
        }
        if let Some(widths) = self.bars.clone() {
            let x = RIGHT - bars_width(&widths);
            page.marks.push(Mark::Bars { x, y: TOP, widths });
            y = y.max(TOP + BARS_HEIGHT + 4.0);
        }
        let weight = 0.8;
        let last = self.about.last().map_or(self.sizes.text, |(_, size)| *size);
        y += last;
        page.marks.push(Mark::Rule { y: y - last * 0.7, weight });
        self.laid.pages.push(page);
        self.y = y + 6.0;
        Ok(())
    }

    fn node(&mut self, part: Part, parent: Option<usize>) -> usize {
        let place = self.laid.nodes.len();
        self.laid.nodes.push(Node { part, children: Vec::new() });
        match parent.and_then(|parent| self.laid.nodes.get_mut(parent)) {
            Some(parent) => parent.children.push(place),
            None => self.laid.roots.push(place),
        }
        place
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.laid.pages.last_mut() {
            page.marks.push(mark);
        }
    }

    /// Makes sure that there is room for this much; a new page where there is none.
    fn room(&mut self, height: f32) -> Result<(), PaperError> {
        if self.y + height > BOTTOM { self.new_page() } else { Ok(()) }
    }

    /// Lines below each other, over as many pages as they need.
    fn lines(&mut self, text: &str, x: f32, size: f32, bold: bool, node: usize) -> Result<(), PaperError> {
        let text = self.fonts.printable(bounded(text)).into_owned();
        for text in self.fonts.lines(&text, bold, (RIGHT - x) / size) {
            self.room(size * LEADING)?;
            let y = self.y + size;
            self.mark(Mark::Text { x, y, size, bold, text, belongs: Belongs::Node(node) });
            self.y += size * LEADING;
        }
        Ok(())
    }

    /// A heading, on one page with some lines of what comes after it, and with `below` points of it.
    fn heading(&mut self, level: u8, text: &str, below: f32) -> Result<(), PaperError> {
        let (size, before) = match level {
            0 => (self.sizes.title, 4.0),
            1 => (13.0, 14.0),
            2 => (self.sizes.text + 1.0, 10.0),
            _ => (self.sizes.text, 6.0),
        };
        self.room(before + size * LEADING + 4.0 * self.sizes.text * LEADING + below)?;
        self.y += before;
        let node = self.node(Part::Heading(level + 1, text.to_owned()), None);
        let page = self.laid.pages.len().saturating_sub(1);
        self.laid.headings.push((node, page, self.y));
        self.lines(text, LEFT, size, true, node)?;
        self.y += if level == 0 { 6.0 } else { 3.0 };
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), PaperError> {
        let node = self.node(Part::Text, None);
        self.lines(text, LEFT, self.sizes.text, false, node)?;
        self.y += 4.0;
        Ok(())
    }

    fn list(&mut self, items: &[String]) -> Result<(), PaperError> {
        let list = self.node(Part::List, None);
        for item in items {
            let node = self.node(Part::Item, Some(list));
            self.room(self.sizes.text * LEADING)?;
            let (x, y) = (LEFT + 4.0, self.y + self.sizes.text);
            let (text, belongs) = ("•".to_owned(), Belongs::Frame);
            self.mark(Mark::Text { x, y, size: self.sizes.text, bold: false, text, belongs });
            self.lines(item, LEFT + 16.0, self.sizes.text, false, node)?;
            self.y += 2.0;
        }
        self.y += 3.0;
        Ok(())
    }

    /// Lines in a frame, the first of them bold: what must not be overlooked. It stands on one page where it can.
    fn framed(&mut self, lines: &[String]) -> Result<(), PaperError> {
        let (size, inset) = (self.sizes.text, 6.0);
        let width = (WIDTH - 2.0 * inset) / size;
        let mut set: Vec<(usize, bool, Vec<String>)> = Vec::new();
        for (place, text) in lines.iter().enumerate() {
            let node = self.node(Part::Text, None);
            let bold = place == 0;
            set.push((node, bold, self.fonts.lines(&self.fonts.printable(bounded(text)), bold, width)));
        }
        let count: usize = set.iter().map(|(.., lines)| lines.len()).sum();
        #[expect(clippy::cast_precision_loss, reason = "some thousands of lines at most")]
        let height = count as f32 * size * LEADING + 2.0 * inset;
        self.room(height.min(BOTTOM - TOP - 120.0))?;
        let mut top = self.y;
        self.y += inset;
        for (node, bold, lines) in set {
            for text in lines {
                if self.y + size * LEADING > BOTTOM {
                    self.frame(top);
                    self.new_page()?;
                    top = self.y;
                    self.y += inset;
                }
                let (x, y) = (LEFT + inset, self.y + size);
                self.mark(Mark::Text { x, y, size, bold, text, belongs: Belongs::Node(node) });
                self.y += size * LEADING;
            }
        }
        self.y += inset;
        self.frame(top);
        self.y += 6.0;
        Ok(())
    }

    /// A frame from here to where the page is full.
    fn frame(&mut self, top: f32) {
        let (bottom, weight) = (self.y, 1.4);
        let corners = [(LEFT, top), (RIGHT, top), (RIGHT, bottom), (LEFT, bottom), (LEFT, top)];
        for pair in corners.windows(2) {
            if let [from, to] = *pair {
                self.mark(Mark::Line { from, to, weight });
            }
        }
    }
}
