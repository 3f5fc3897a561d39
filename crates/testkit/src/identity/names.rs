//! Given and family names by origin, chosen for plausibility and for what breaks software: accents, ligatures, apostrophes,
//! hyphens, particles, spaces, very short and very long names. No name list was copied: they are names one meets.

use super::places::Country;
use crate::draw::Draw;

/// Where a patient's names come from, and with it the likely country of birth and language.
pub(crate) struct Origin {
    /// How many of 100 patients.
    pub(crate) percent: u64,
    pub(crate) family: &'static [&'static str],
    pub(crate) female: &'static [&'static str],
    pub(crate) male: &'static [&'static str],
    /// How many of 100 of these patients were born in one of `countries`.
    pub(crate) born_abroad_percent: u64,
    pub(crate) countries: &'static [Country],
    /// BCP 47 tag and its name in French.
    pub(crate) language: (&'static str, &'static str),
}

/// The origin of one patient.
pub(crate) fn draw_origin(draw: &mut Draw) -> &'static Origin {
    let mut rest = draw.below(ORIGINS.iter().map(|origin| origin.percent).sum());
    for origin in &ORIGINS {
        if rest < origin.percent {
            return origin;
        }
        rest -= origin.percent;
    }
    &FRANCE
}

const FRENCH: (&str, &str) = ("fr", "français");

const ORIGINS: [Origin; 10] =
    [FRANCE, REGIONS, MAGHREB, WEST_AFRICA, IBERIA_ITALY, ANTILLES, EAST, TURKEY_LEVANT, ASIA, ENGLISH];

#[rustfmt::skip]
const FRANCE: Origin = Origin {
    percent: 55,
    family: &[
        "Martin", "Bernard", "Dubois", "Thomas", "Robert", "Richard", "Petit", "Durand", "Leroy", "Moreau", "Simon",
        "Laurent", "Lefebvre", "Michel", "Garnier", "Rousseau", "Fontaine", "Chevalier", "Girard", "Mercier", "Dupont",
        "Lambert", "Bonnet", "François", "Legrand", "Faure", "Blanc", "Guérin", "Boyer", "Gauthier", "Perrin",
        "Roussel", "Clément", "Morin", "Noël", "Masson", "Marchand", "Lemaître", "Brunet", "Gaillard", "Barbier",
        "Aubert", "Renaud", "Schäfer-Martin", "Picard", "Rey", "Lacroix", "Dumas", "Deschamps", "Vasseur", "Benoît",
        "Hébert", "Poirier", "Charpentier", "Prévost", "Bertrand", "Delacroix", "de La Rochefoucauld", "d'Aubigné",
        "L'Hermite", "L'Héritier", "Bœuf", "Le Cœur", "Lebœuf", "Desrosières", "Saint-Amand", "du Plessis", "Descôtes",
        "Château", "Beauchêne", "Pélissier", "Grévin", "Quentin-Vauclair", "Bréchet", "Haÿ", "Tréville", "Mâchefer",
        "Cauchy-Bouvier", "Aÿ", "Champion de Cicé", "Villefranche", "Courtois", "Baïsse", "Moïse", "Lécuyer",
        "Carpentier", "Sauvage", "Tessier",
    ],
    female: &[
        "Marie", "Jeanne", "Camille", "Léa", "Chloé", "Manon", "Émilie", "Élodie", "Hélène", "Françoise", "Monique",
        "Sylvie", "Nathalie", "Isabelle", "Catherine", "Anne", "Marie-Hélène", "Anne-Sophie", "Marie-Thérèse",
        "Maëlys", "Inès", "Zoé", "Jade", "Louise", "Alice", "Éléonore", "Cécile", "Agnès", "Geneviève", "Solène",
        "Noémie", "Aurélie", "Bénédicte", "Véronique", "Brigitte", "Marguerite", "Simone", "Yvette", "Odette",
        "Clémence", "Gaëlle", "Héloïse", "Lætitia", "Ophélie", "Pénélope", "Océane", "Perrine", "Raphaëlle", "Suzanne",
        "Colette",
    ],
    male: &[
        "Jean", "Pierre", "Michel", "André", "Philippe", "Louis", "Jean-Pierre", "Jean-François", "Jean-Baptiste",
        "Gérard", "René", "Rémi", "Rémy", "Jérôme", "Frédéric", "Stéphane", "Sébastien", "Cédric", "Benoît",
        "François", "Léo", "Hugo", "Théo", "Gaël", "Loïc", "Noël", "Joël", "Raphaël", "Gabriel", "Arthur", "Jules",
        "Lucas", "Nathan", "Maxime", "Clément", "Antoine", "Baptiste", "Étienne", "Éric", "Émile", "Anaël",
        "Marc-Antoine", "Pierre-Yves", "Charles-Édouard", "Guillaume", "Aurélien", "Côme", "Barthélemy", "Honoré",
        "Maël",
    ],
    born_abroad_percent: 2,
    countries: &[Country::BELGIUM, Country::GERMANY, Country::ALGERIA, Country::UNITED_KINGDOM],
    language: FRENCH,
};

#[rustfmt::skip]
const REGIONS: Origin = Origin {
    percent: 11,
    family: &[
        "Le Goff", "Le Bihan", "Kerbrat", "Kervella", "Guéguen", "Tanguy", "Le Floc'h", "Cloarec", "Quéméneur",
        "Penn ar Bed", "Etchegaray", "Etxeberria", "Ibarrondo", "Haristoy", "Colonna", "Santoni", "Casanova", "Paoli",
        "Leca", "Muller", "Schneider", "Schmitt", "Zimmermann", "Wurtz", "Kœhler", "Vandenbroucke", "Vanhoutte",
        "Dewaele", "Puig", "Vidal",
    ],
    female: &[
        "Nolwenn", "Soizic", "Maïwenn", "Gwenaëlle", "Rozenn", "Maylis", "Amaia", "Letizia", "Ghjulia", "Vannina",
        "Odile", "Liesel", "Annick", "Katell", "Enora",
    ],
    male: &[
        "Yann", "Erwan", "Ronan", "Gwenaël", "Loeiz", "Fañch", "Tugdual", "Beñat", "Xabi", "Ghjuvan", "Petru",
        "Hans-Peter", "Mathis", "Tanguy", "Corentin",
    ],
    born_abroad_percent: 1,
    countries: &[Country::BELGIUM, Country::SPAIN, Country::GERMANY],
    language: FRENCH,
};

#[rustfmt::skip]
const MAGHREB: Origin = Origin {
    percent: 11,
    family: &[
        "Benali", "Benzema-Haddad", "Haddad", "Bouzid", "Cherif", "El Amrani", "El Idrissi", "Ben Youssef", "Belkacem",
        "Mansouri", "Aït-Ahmed", "Aït Ouarab", "Boudiaf", "Khelifi", "Trabelsi", "Hamdi", "Saïdi", "Zerrouki",
        "Lahlou", "Bennani", "Ould-Ali", "Meziane", "Ziani", "Slimani", "Tazi",
    ],
    female: &[
        "Fatima", "Fatima-Zahra", "Aïcha", "Khadija", "Yasmine", "Nadia", "Samira", "Leïla", "Malika", "Zohra",
        "Soraya", "Naïma", "Inaya", "Sofia", "Djamila", "Houria",
    ],
    male: &[
        "Mohamed", "Mohammed-Amine", "Ahmed", "Karim", "Rachid", "Youssef", "Mehdi", "Nabil", "Saïd", "Abdelkader",
        "Hakim", "Bilal", "Yanis", "Ismaël", "Tarek", "Noureddine",
    ],
    born_abroad_percent: 45,
    countries: &[Country::ALGERIA, Country::MOROCCO, Country::TUNISIA],
    language: ("ar", "arabe"),
};

#[rustfmt::skip]
const WEST_AFRICA: Origin = Origin {
    percent: 6,
    family: &[
        "N'Diaye", "N'Guessan", "Diallo", "Traoré", "Koné", "Coulibaly", "Diop", "Sow", "Keïta", "Touré", "Cissé",
        "M'Bappé-Eto", "Sarr", "Ouattara", "Kouassi", "Adjovi", "Mbemba", "Nkosi", "Bâ", "Sissoko", "Konaté",
        "Ngo Bassong", "Tchoumi",
    ],
    female: &[
        "Aminata", "Fatou", "Mariam", "Awa", "Aïssatou", "Bintou", "Kadiatou", "Adjoua", "Grâce", "Espérance", "Ndèye",
        "Rokia", "Marie-Noëlle", "Oumou",
    ],
    male: &[
        "Mamadou", "Moussa", "Ibrahima", "Ousmane", "Cheikh", "Amadou", "Boubacar", "Kouamé", "Dieudonné", "Sékou",
        "Souleymane", "Idrissa", "Yao", "Fidèle",
    ],
    born_abroad_percent: 60,
    countries: &[Country::SENEGAL, Country::MALI, Country::IVORY_COAST, Country::CAMEROON, Country::CONGO_DR],
    language: FRENCH,
};

#[rustfmt::skip]
const IBERIA_ITALY: Origin = Origin {
    percent: 6,
    family: &[
        "da Silva", "Ferreira", "Gonçalves", "Magalhães", "dos Santos", "Conceição", "Garcia", "Martínez", "Núñez",
        "Peña", "Muñoz-López", "García Fernández", "Rossi", "Esposito", "D'Angelo", "Dell'Acqua", "Di Stefano",
        "Caravaggi", "D'Almeida",
    ],
    female: &[
        "Maria", "Conceição", "Fátima", "Inês", "Lúcia", "Carmen", "Begoña", "Núria", "Giulia", "Chiara", "Francesca",
        "Rosária", "Pilar", "Ximena",
    ],
    male: &[
        "João", "José", "António", "Gonçalo", "Luís", "Íñigo", "Ángel", "Ramón", "Giuseppe", "Niccolò", "Matteo",
        "Paulo", "Joaquim", "Salvatore",
    ],
    born_abroad_percent: 40,
    countries: &[Country::PORTUGAL, Country::SPAIN, Country::ITALY, Country::BRAZIL],
    language: ("pt", "portugais"),
};

#[rustfmt::skip]
const ANTILLES: Origin = Origin {
    percent: 3,
    family: &[
        "Toussaint", "Célestine", "Jean-Louis", "Jean-Marie", "Sainte-Rose", "Rosette", "Bélizaire", "Lurel", "Zobda",
        "Payet", "Hoarau", "Grondin", "Pierre-Louis", "Dorcé",
    ],
    female: &["Myrtha", "Ghislaine", "Marie-Josée", "Josiane", "Lucette", "Gwladys", "Émeline", "Darline", "Solange"],
    male: &["Ti-Jean", "Aimé", "Fortuné", "Roméo", "Judex", "Wilner", "Frantz", "Élie", "Steevy"],
    born_abroad_percent: 25,
    countries: &[Country::HAITI],
    language: FRENCH,
};

#[rustfmt::skip]
const EAST: Origin = Origin {
    percent: 3,
    family: &[
        "Kowalski", "Wiśniewska", "Łukasiewicz", "Novák", "Dvořák", "Popescu", "Ionescu", "Șerban", "Petrović",
        "Đorđević", "Kovács", "Szőke", "Shevchenko", "Ivanova", "Müller-Żak",
    ],
    female: &[
        "Agnieszka", "Małgorzata", "Olena", "Svitlana", "Ștefania", "Ioana", "Zsófia", "Jelena", "Věra", "Kateřina",
    ],
    male: &["Piotr", "Paweł", "Wojciech", "Oleksandr", "Andrii", "Ștefan", "Ioan", "György", "Đorđe", "Jiří"],
    born_abroad_percent: 75,
    countries: &[Country::POLAND, Country::UKRAINE, Country::ROMANIA, Country::RUSSIA],
    language: ("uk", "ukrainien"),
};

#[rustfmt::skip]
const TURKEY_LEVANT: Origin = Origin {
    percent: 2,
    family: &[
        "Yılmaz", "Öztürk", "Şahin", "Çelik", "Güneş", "Haddadian", "Khoury", "Nasr", "Sarkissian", "Ter-Petrossian",
    ],
    female: &["Ayşe", "Elif", "Gülşen", "Zeynep", "Nour", "Rima", "Anahit", "Siranouche"],
    male: &["Mehmet", "İbrahim", "Çağlar", "Ömer", "Georges", "Élias", "Aram", "Hovhannès"],
    born_abroad_percent: 60,
    countries: &[Country::TURKEY, Country::LEBANON],
    language: ("tr", "turc"),
};

#[rustfmt::skip]
const ASIA: Origin = Origin {
    percent: 2,
    family: &[
        "Nguyễn", "Trần", "Lê", "Phạm", "Wang", "Li", "Zhang", "Ô", "Sivakumar", "Rajaratnam-Thevarajah", "Chhim",
        "Sok",
    ],
    female: &["Thị Hương", "Ngọc", "Linh", "Mei", "Xiu Ying", "Lakshmi", "Priya", "Sreymom", "An"],
    male: &["Văn Dũng", "Minh", "Đức", "Wei", "Jun", "Arjun", "Kugan", "Rithy", "Bo"],
    born_abroad_percent: 60,
    countries: &[Country::VIETNAM, Country::CHINA, Country::SRI_LANKA],
    language: ("vi", "vietnamien"),
};

#[rustfmt::skip]
const ENGLISH: Origin = Origin {
    percent: 1,
    family: &["O'Brien", "O'Neill", "MacDonald", "Smith-Jones", "Fitzgerald", "Whitmore", "McAllister", "St. John"],
    female: &["Siobhán", "Mary Ann", "Heather", "Zoë", "Chloë", "Moira"],
    male: &["Seán", "Liam", "Alistair", "William", "Ruairí", "Zachary"],
    born_abroad_percent: 85,
    countries: &[Country::UNITED_KINGDOM, Country::UNITED_STATES],
    language: ("en", "anglais"),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Stream;
    use std::collections::HashSet;

    #[test]
    fn the_lists_are_long_mixed_and_free_of_repeats() {
        assert_eq!(ORIGINS.iter().map(|origin| origin.percent).sum::<u64>(), 100);
        let (mut family, mut given) = (HashSet::new(), HashSet::<&str>::new());
        for origin in &ORIGINS {
            for name in origin.family {
                assert!(family.insert(*name), "{name} twice");
            }
            given.extend(origin.female.iter().chain(origin.male));
            assert!(!origin.female.is_empty() && !origin.male.is_empty() && !origin.countries.is_empty());
        }
        assert!(family.len() >= 200 && given.len() >= 250, "{} {}", family.len(), given.len());
        for mark in ['\'', '-', ' ', 'œ', 'é', 'ÿ', 'ś', 'ễ', 'ı'] {
            assert!(family.iter().any(|name| name.contains(mark)), "{mark}");
        }
    }

    #[test]
    fn every_origin_is_drawn() {
        let mut draw = Draw::new(1, Stream::Person, 0);
        let seen: HashSet<_> = (0..2000).map(|_| draw_origin(&mut draw).language.0).collect();
        assert!(seen.len() >= 7);
    }
}
