package detect

// finance are bank, card and money numbers. Cards, IBANs and wallets have code
// of their own (card.go, iban.go, wallet.go).
var finance = []recogniser{
	{entity: CreditCard, what: "Payment card number.", holds: "Luhn (ISO/IEC 7812-1), issuer prefix and length; spaces or hyphens between groups.", size: 40,
		hints:  "card|cards|credit card|debit card|creditcard|debitcard|card number|cardnumber|card no|cardno|card num|ccnum|ccn|cc|cc number|pan|visa|mastercard|amex|american express|maestro|discover|diners|kreditkarte|kreditkartennummer|kartennummer|karte|tarjeta|numero tarjeta|carte|carte bancaire|numéro carte|carta|carta credito|cartão|cartao|kort|kortnummer|karta|creditkaart|kaartnummer",
		shared: "payment|account number|number"},
	{entity: CVV, what: "Card security code.", holds: "Three or four digits after a field's name or words that say so.", size: 4,
		hints: "cvv|cvv2|cvc|cvc2|cvn|csc|security code|card code|verification code card|card verification|prüfziffer|kartenprüfnummer|código de seguridad|codigo seguridad|cryptogramme"},
	{entity: CardExpiry, what: "Card's date of expiry.", holds: "Month and year after a field's name or words that say so.", size: 10,
		hints: "exp|expiry|exp date|expdate|expiry date|expiration|expiration date|card expiry|card exp|cc exp|valid thru|valid through|valid until|gültig bis|caducidad|vencimiento|scadenza|validade"},
	{entity: PIN, what: "Personal identification number.", holds: "Four to eight digits after a field's name or words that say so.", size: 8,
		hints: "pin|pin code|pincode number|card pin|pin number|atm pin|geheimzahl"},
	{entity: IBAN, what: "International bank account number.", holds: "Country's length and mod 97 (ISO 13616); spaces between groups.", size: 48,
		hints: "iban|bank account iban|iban code|iban number"},
	{entity: BIC, what: "Bank identifier code (SWIFT).", holds: "Shape of ISO 9362 with a country's code, after a field's name or words that say so.",
		hints:  "bic|swift|swift code|swiftcode|bic code|biccode|swift bic",
		shapes: []shape{{"AAAAAAXX", 0}, {"AAAAAAXXXXX", 0}}, check: isBIC},
	{entity: USBankNumber, what: "Bank account number.", holds: "Six to seventeen digits after a field's name or words that say so.",
		hints: "account number|account no|account num|accountnumber|acct|acct number|acct no|acctno|bank account|bankaccount|checking account|savings account|kontonummer|konto|cuenta|número de cuenta|numero de cuenta|compte|numéro de compte|conto|rekening|rekeningnummer|beneficiary account|konto nr|conta|account numbers|account ending",
		open:  open{min: 6, max: 17, digits: 6, spaces: true, score: 0.7}},
	{entity: ABARouting, what: "US bank routing number.", holds: "Prefix and checksum of the American Bankers Association; a field's name or a word says so.",
		hints:  "aba|routing|routing number|routing no|routingnumber|aba routing|rtn|routing transit|transit number|aba number|bank routing|ach routing|wire routing|routing num",
		shapes: []shape{{"999999999", 0}, {"9999-9999-9", 0}}, check: isABA, loose: 0.6},
	{entity: UKSortCode, what: "UK bank sort code.", holds: "Six digits, in pairs or not, after a field's name or words that say so.",
		hints:  "sort code|sortcode|sort codes|branch sort",
		shapes: []shape{{"99-99-99", 0}, {"999999", 0}, {"99 99 99", 0}}},
	{entity: Crypto, what: "Cryptocurrency address.", holds: "Base58Check, bech32 (BIP 173, 350), or 20 bytes in hexadecimal with the case check of EIP-55.", size: 90,
		hints: "wallet|bitcoin|btc|ethereum|eth|crypto|wallet address|payout address|deposit address|litecoin|ltc|dogecoin|doge|usdt|tron|trx|xrp|solana|cardano|monero|coin address"},
}

// isBIC: a country's code in the fifth and sixth place.
func isBIC(c []byte) bool {
	_, ok := countries[[2]byte{c[4], c[5]}]
	return ok
}

// countries are the codes of ISO 3166-1 that a BIC may hold, and XK.
var countries = func() map[[2]byte]struct{} {
	const codes = "ADAEAFAGAIALAMAOARATAUAWAZBABBBDBEBFBGBHBIBJBMBNBOBRBSBTBWBYBZCACDCFCGCHCICKCLCMCNCOCRCUCVCYCZDEDJDKDMDODZECEEEGERESETFIFJFMFOFRGAGBGDGEGGGHGIGLGMGNGRGTGWGYHKHNHRHTHUIDIEILIMINIQIRISITJEJMJOJPKEKGKHKIKMKNKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMGMKMLMMMNMOMRMTMUMVMWMXMYMZNANCNENGNINLNONPNZOMPAPEPFPGPHPKPLPRPSPTPYQAROSRSRURWSASBSCSDSESGSISKSLSMSNSOSRSTSVSYSZTCTDTGTHTJTLTMTNTRTTTVTWTZUAUGUSUYUZVAVCVEVGVIVNVUWSXKYEZAZMZW"
	m := map[[2]byte]struct{}{}
	for i := 0; i+1 < len(codes); i += 2 {
		m[[2]byte{codes[i], codes[i+1]}] = struct{}{}
	}
	return m
}()
