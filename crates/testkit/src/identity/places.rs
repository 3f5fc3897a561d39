//! French communes and foreign countries with their codes of the official geographic code (COG, INSEE), and streets.

/// A commune: where patients live or were born.
pub(crate) struct Commune {
    /// Code of the official geographic code, five places.
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
    pub(crate) postal_code: &'static str,
}

/// A country of birth.
#[derive(Clone, Copy)]
pub(crate) struct Country {
    /// Code of the official geographic code, `99` and three digits.
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
    /// ISO 3166-1, three letters, as French records write it.
    pub(crate) iso: &'static str,
}

const fn country(code: &'static str, name: &'static str, iso: &'static str) -> Country {
    Country { code, name, iso }
}

impl Country {
    pub(crate) const GERMANY: Self = country("99109", "Allemagne", "DEU");
    pub(crate) const ROMANIA: Self = country("99114", "Roumanie", "ROU");
    pub(crate) const POLAND: Self = country("99122", "Pologne", "POL");
    pub(crate) const RUSSIA: Self = country("99123", "Russie", "RUS");
    pub(crate) const ITALY: Self = country("99127", "Italie", "ITA");
    pub(crate) const BELGIUM: Self = country("99131", "Belgique", "BEL");
    pub(crate) const UNITED_KINGDOM: Self = country("99132", "Royaume-Uni", "GBR");
    pub(crate) const SPAIN: Self = country("99134", "Espagne", "ESP");
    pub(crate) const PORTUGAL: Self = country("99139", "Portugal", "PRT");
    pub(crate) const UKRAINE: Self = country("99155", "Ukraine", "UKR");
    pub(crate) const LEBANON: Self = country("99205", "Liban", "LBN");
    pub(crate) const TURKEY: Self = country("99208", "Turquie", "TUR");
    pub(crate) const CHINA: Self = country("99216", "Chine", "CHN");
    pub(crate) const SRI_LANKA: Self = country("99235", "Sri Lanka", "LKA");
    pub(crate) const VIETNAM: Self = country("99243", "Viêt Nam", "VNM");
    pub(crate) const CONGO_DR: Self = country("99312", "République démocratique du Congo", "COD");
    pub(crate) const CAMEROON: Self = country("99322", "Cameroun", "CMR");
    pub(crate) const IVORY_COAST: Self = country("99326", "Côte d'Ivoire", "CIV");
    pub(crate) const MALI: Self = country("99335", "Mali", "MLI");
    pub(crate) const SENEGAL: Self = country("99341", "Sénégal", "SEN");
    pub(crate) const MOROCCO: Self = country("99350", "Maroc", "MAR");
    pub(crate) const TUNISIA: Self = country("99351", "Tunisie", "TUN");
    pub(crate) const ALGERIA: Self = country("99352", "Algérie", "DZA");
    pub(crate) const UNITED_STATES: Self = country("99404", "États-Unis", "USA");
    pub(crate) const HAITI: Self = country("99410", "Haïti", "HTI");
    pub(crate) const BRAZIL: Self = country("99416", "Brésil", "BRA");
}

const fn commune(code: &'static str, name: &'static str, postal_code: &'static str) -> Commune {
    Commune { code, name, postal_code }
}

/// Communes of every region, Corsica and overseas departments among them. The first eight are those around the hospital.
pub(crate) const COMMUNES: &[Commune] = &[
    commune("91174", "Corbeil-Essonnes", "91100"),
    commune("91228", "Évry-Courcouronnes", "91000"),
    commune("94028", "Créteil", "94000"),
    commune("94038", "L'Haÿ-les-Roses", "94240"),
    commune("93048", "Montreuil", "93100"),
    commune("93066", "Saint-Denis", "93200"),
    commune("75113", "Paris 13e Arrondissement", "75013"),
    commune("75120", "Paris 20e Arrondissement", "75020"),
    commune("75110", "Paris 10e Arrondissement", "75010"),
    commune("75115", "Paris 15e Arrondissement", "75015"),
    commune("75118", "Paris 18e Arrondissement", "75018"),
    commune("78646", "Versailles", "78000"),
    commune("95018", "Argenteuil", "95100"),
    commune("69383", "Lyon 3e Arrondissement", "69003"),
    commune("69387", "Lyon 7e Arrondissement", "69007"),
    commune("69266", "Villeurbanne", "69100"),
    commune("13201", "Marseille 1er Arrondissement", "13001"),
    commune("13208", "Marseille 8e Arrondissement", "13008"),
    commune("31555", "Toulouse", "31000"),
    commune("06088", "Nice", "06000"),
    commune("44109", "Nantes", "44000"),
    commune("34172", "Montpellier", "34000"),
    commune("67482", "Strasbourg", "67000"),
    commune("33063", "Bordeaux", "33000"),
    commune("59350", "Lille", "59000"),
    commune("59017", "Armentières", "59280"),
    commune("59512", "Roubaix", "59100"),
    commune("59183", "Dunkerque", "59140"),
    commune("62193", "Calais", "62100"),
    commune("35238", "Rennes", "35000"),
    commune("35288", "Saint-Malo", "35400"),
    commune("22278", "Saint-Brieuc", "22000"),
    commune("29019", "Brest", "29200"),
    commune("29232", "Quimper", "29000"),
    commune("56260", "Vannes", "56000"),
    commune("51454", "Reims", "51100"),
    commune("42218", "Saint-Étienne", "42000"),
    commune("76351", "Le Havre", "76600"),
    commune("76540", "Rouen", "76000"),
    commune("83137", "Toulon", "83000"),
    commune("38185", "Grenoble", "38000"),
    commune("21231", "Dijon", "21000"),
    commune("49007", "Angers", "49000"),
    commune("30189", "Nîmes", "30000"),
    commune("63113", "Clermont-Ferrand", "63000"),
    commune("72181", "Le Mans", "72000"),
    commune("37261", "Tours", "37000"),
    commune("80021", "Amiens", "80000"),
    commune("87085", "Limoges", "87000"),
    commune("74010", "Annecy", "74000"),
    commune("66136", "Perpignan", "66000"),
    commune("57463", "Metz", "57000"),
    commune("25056", "Besançon", "25000"),
    commune("45234", "Orléans", "45000"),
    commune("68224", "Mulhouse", "68100"),
    commune("14118", "Caen", "14000"),
    commune("54395", "Nancy", "54000"),
    commune("86194", "Poitiers", "86000"),
    commune("17300", "La Rochelle", "17000"),
    commune("64445", "Pau", "64000"),
    commune("64102", "Bayonne", "64100"),
    commune("10387", "Troyes", "10000"),
    commune("73065", "Chambéry", "73000"),
    commune("26362", "Valence", "26000"),
    commune("84007", "Avignon", "84000"),
    commune("15014", "Aurillac", "15000"),
    commune("12202", "Rodez", "12000"),
    commune("81004", "Albi", "81000"),
    commune("58194", "Nevers", "58000"),
    commune("18033", "Bourges", "18000"),
    commune("79191", "Niort", "79000"),
    commune("2A004", "Ajaccio", "20000"),
    commune("2B033", "Bastia", "20200"),
    commune("97120", "Pointe-à-Pitre", "97110"),
    commune("97209", "Fort-de-France", "97200"),
    commune("97302", "Cayenne", "97300"),
    commune("97411", "Saint-Denis", "97400"),
];

/// How many communes, from the first of [`COMMUNES`], lie around the hospital.
pub(crate) const COMMUNES_NEAR: usize = 8;

#[rustfmt::skip]
pub(crate) const STREETS: &[&str] = &[
    "rue des Lilas", "rue de l'Église", "rue Victor-Hugo", "avenue Jean-Jaurès", "boulevard de la Libération",
    "impasse du Moulin", "chemin des Écoliers", "rue Émile-Zola", "place de la République", "allée des Tilleuls",
    "rue du Général-de-Gaulle", "quai de Seine", "rue Pasteur", "sentier de la Fontaine-aux-Œillets", "rue Édith-Piaf",
    "avenue du Maréchal-Foch", "rue du Faubourg-Saint-Antoine", "cité des Prés-Verts", "route de Château-Thierry",
    "villa des Glycines", "rue Marie-Curie", "square Léon-Blum", "cours de l'Argonne", "rue Aimé-Césaire",
    "passage d'Enfer", "rue du Puits-qui-Parle", "ruelle aux Loups", "avenue Salvador-Allende", "rue Jean-Moulin",
    "boulevard Périphérique-Nord", "rue de la Paix", "chemin de Halage", "rue Gabriel-Péri", "place d'Armes",
];

/// Second lines of addresses.
#[rustfmt::skip]
pub(crate) const COMPLEMENTS: &[&str] = &[
    "Bâtiment B", "Appartement 12", "Résidence Les Chênes", "Escalier C, 3e étage", "Chez M. et Mme Aubry",
    "Lieu-dit Le Bourg", "BP 40", "Hameau de Kerguélen", "Foyer Adoma, chambre 214", "EHPAD L'Âge d'Or",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_five_places_and_are_not_repeated() {
        let mut codes: Vec<&str> = COMMUNES.iter().map(|commune| commune.code).collect();
        assert!(COMMUNES.iter().all(|commune| commune.code.len() == 5 && commune.postal_code.len() == 5));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), COMMUNES.len());
        const { assert!(COMMUNES_NEAR < COMMUNES.len()) };
    }
}
