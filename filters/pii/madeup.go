package pii

// Names that are put in the place of real ones. They are made up for this
// purpose: the families and places from syllables, so that there are many.
var (
	given = []string{
		"Abelin", "Adria", "Alwen", "Amaris", "Anselm", "Arvid", "Astra", "Bastian", "Belisa", "Berin", "Brisa", "Caius", "Calla", "Caspian", "Cedra", "Corin",
		"Dalia", "Darian", "Delwyn", "Doria", "Edrik", "Elara", "Elowen", "Emeric", "Enora", "Esmond", "Fabia", "Faron", "Fenna", "Florin", "Galen", "Gisa",
		"Halden", "Helia", "Idris", "Ilario", "Ilka", "Isaura", "Jarek", "Jorin", "Juna", "Kalina", "Kelan", "Kira", "Larkin", "Leander", "Liora", "Lucan",
		"Maelis", "Marek", "Mirela", "Nerys", "Nolan", "Odila", "Orin", "Perrin", "Quilla", "Ravenna", "Rowin", "Selma", "Silvan", "Tamsin", "Torben", "Ulrika",
		"Valen", "Vesna", "Wendelin", "Wilmar", "Xenia", "Yarrow", "Ysolde", "Zephyr",
	}
	familyStarts = []string{
		"Alder", "Ash", "Bern", "Birk", "Brad", "Brock", "Cald", "Carn", "Corv", "Dal", "Drav", "Eller", "Elm", "Fald", "Farn", "Garr",
		"Grim", "Hal", "Hart", "Holm", "Ing", "Kest", "Lang", "Lind", "Mar", "Mor", "Nor", "Oster", "Pell", "Quar", "Rav", "Roth",
		"Sel", "Stav", "Tarn", "Thorn", "Ulv", "Varn", "Vest", "Wald", "Wend", "Yar",
	}
	familyEnds = []string{
		"aby", "ander", "arsen", "berg", "brook", "by", "dale", "den", "ell", "enko", "erly", "feld", "ford", "gaard", "ham", "hurst",
		"ic", "inov", "ison", "kin", "land", "ley", "low", "man", "more", "oway", "quist", "rick", "shaw", "son", "stone", "strand",
		"ton", "vale", "vik", "ward", "well", "wick", "wood", "worth",
	}
	placeStarts = []string{
		"Alm", "Amber", "Bel", "Brin", "Cald", "Cor", "Dun", "East", "Eld", "Fair", "Fen", "Glen", "Green", "Harrow", "High", "Kings",
		"Lark", "Low", "Mal", "Mill", "New", "North", "Oak", "Pine", "Raven", "Rock", "Silver", "South", "Stone", "Thorn", "West", "Winter",
	}
	placeEnds = []string{
		"beck", "borough", "bridge", "brook", "bury", "cliff", "combe", "cross", "dale", "fall", "field", "ford", "gate", "haven", "hill", "holm",
		"hurst", "marsh", "mere", "mouth", "point", "port", "ridge", "shore", "stead", "ton", "vale", "view", "wick", "wood",
	}
	companies = []string{"Works", "Partners", "Trading", "Group", "Systems", "Holdings", "Industries", "Supply", "Services", "Labs"}
)
