"""Signs and abbreviations of English, and the words for them."""

from __future__ import annotations

__all__ = [
    "ABBREVIATIONS",
    "CURRENCIES",
    "FRACTIONS",
    "LETTERED",
    "MONTHS",
    "SCALES",
    "SHORT_MONTHS",
    "SIGNS",
    "TITLES",
    "UNITS",
    "YEAR_WORDS",
]

# Before a name.
TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Mx": "Mix", "Dr": "Doctor",
    "Prof": "Professor", "Rev": "Reverend", "Hon": "Honorable", "Gen": "General",
    "Col": "Colonel", "Maj": "Major", "Capt": "Captain", "Lt": "Lieutenant", "Sgt": "Sergeant",
    "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Pres": "President",
    "Mt": "Mount", "Ft": "Fort", "Messrs": "Messieurs",
}  # fmt: skip

# With a full stop after them, in any case.
ABBREVIATIONS = {
    "e.g": "for example", "i.e": "that is", "etc": "et cetera", "vs": "versus", "cf": "compare",
    "viz": "namely", "et al": "and others", "approx": "approximately", "ca": "about",
    "jr": "Junior", "sr": "Senior", "st": "Street", "ave": "Avenue", "blvd": "Boulevard",
    "rd": "Road", "dept": "department", "inc": "Incorporated", "ltd": "Limited",
    "corp": "Corporation", "co": "Company", "bros": "Brothers", "est": "established",
    "vol": "volume", "fig": "figure", "figs": "figures", "ch": "chapter", "sec": "section",
    "pp": "pages", "mr": "Mister", "mrs": "Missus", "ms": "Miz", "dr": "Doctor",
    "prof": "Professor", "a.k.a": "also known as", "min": "minutes", "max": "maximum",
    "avg": "average", "tel": "telephone", "apt": "apartment", "ph.d": "P H D",
}  # fmt: skip

# One, many, and a hundredth of it: one, many.
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
SCALES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million",
    "b": "billion", "B": "billion", "bn": "billion", "tn": "trillion", "thousand": "thousand",
    "million": "million", "billion": "billion", "trillion": "trillion",
}  # fmt: skip

UNITS = {
    "mm": ("millimeter", "millimeters"), "cm": ("centimeter", "centimeters"),
    "m": ("meter", "meters"), "km": ("kilometer", "kilometers"), "mi": ("mile", "miles"),
    "ft": ("foot", "feet"), "yd": ("yard", "yards"), "m²": ("square meter", "square meters"),
    "km²": ("square kilometer", "square kilometers"), "m³": ("cubic meter", "cubic meters"),
    "cm²": ("square centimeter", "square centimeters"), "ha": ("hectare", "hectares"),
    "mg": ("milligram", "milligrams"), "g": ("gram", "grams"), "kg": ("kilogram", "kilograms"),
    "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"),
    "ml": ("milliliter", "milliliters"), "l": ("liter", "liters"), "L": ("liter", "liters"),
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"), "m/s": ("meter per second", "meters per second"),
    "°C": ("degree Celsius", "degrees Celsius"), "℃": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"), "°": ("degree", "degrees"),
    "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"), "GHz": ("gigahertz", "gigahertz"),
    "kB": ("kilobyte", "kilobytes"), "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"), "W": ("watt", "watts"), "kW": ("kilowatt", "kilowatts"),
    "MW": ("megawatt", "megawatts"), "kWh": ("kilowatt hour", "kilowatt hours"),
    "V": ("volt", "volts"), "ms": ("millisecond", "milliseconds"), "s": ("second", "seconds"),
    "sec": ("second", "seconds"), "min": ("minute", "minutes"), "h": ("hour", "hours"),
    "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "dB": ("decibel", "decibels"),
    "px": ("pixel", "pixels"),
}  # fmt: skip

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
SHORT_MONTHS = ("Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sept", "Sep", "Oct", "Nov", "Dec")

FRACTIONS = {
    "½": "one half", "⅓": "one third", "⅔": "two thirds", "¼": "one quarter",
    "¾": "three quarters", "⅕": "one fifth", "⅛": "one eighth", "⅜": "three eighths",
    "⅝": "five eighths", "⅞": "seven eighths",
}  # fmt: skip

# Words before a number of four digits that make it a year.
YEAR_WORDS = (
    "in", "since", "by", "until", "till", "from", "before", "after", "during", "around", "circa",
    "year", "of", "late", "early", "mid", "spring", "summer", "autumn", "fall", "winter",
    "copyright", *MONTHS,
)  # fmt: skip

# Said letter by letter although they have vowels; without vowels any is.
LETTERED = (
    "USA", "US", "UK", "EU", "UN", "AI", "API", "URL", "CPU", "GPU", "DNA", "RNA", "FBI", "CIA",
    "CEO", "CFO", "CTO", "IBM", "USB", "UI", "IP", "ATM", "FAQ", "ID", "HIV", "ICU", "IQ", "SUV",
    "UFO", "VIP", "EV", "UAE", "ECB", "IMF",
)  # fmt: skip

SIGNS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "%": "percent", "‰": "per mille",
    "#": "number", "°": "degrees", "§": "section", "\u00d7": "times", "÷": "divided by",
    "±": "plus or minus", "≈": "about", "~": "about", "<": "less than", ">": "greater than",
    "≤": "at most", "≥": "at least", "$": "dollars", "£": "pounds", "€": "euros", "¥": "yen",
    "₹": "rupees", "/": "", "_": "", "*": "", "|": "", "\\": "", "^": "", "•": "", "©": "copyright",
    "™": "", "®": "",
}  # fmt: skip
