package detect

// personal is what is found by its context only: it has code of its own in
// birth.go and value.go.
var personal = []recogniser{
	{entity: DateOfBirth, what: "Date of birth.", holds: "A date after a field's name or words that say so.", size: 32,
		hints: "dob|d o b|birth|date of birth|dateofbirth|birthdate|birth date|birthday|bday|born|born on|geburtsdatum|geboren|geboren am|geburtstag|date de naissance|naissance|datenaissance|né le|née le|fecha de nacimiento|fecha nacimiento|fechanacimiento|nacimiento|nacido|nacida|data de nascimento|data nascimento|nascimento|nascido|nascida|data di nascita|nascita|nato il|nata il|geboortedatum|geboorte|födelsedatum|fødselsdato|syntymäaika|data urodzenia|urodzenia|datum narození|születési dátum|doğum tarihi|生年月日|出生日期|дата рождения"},
	{entity: Age, what: "Age.", holds: "1 to 120, after a field's name or a word, or before years old.", size: 3,
		hints: "age|aged|age in years|alter|âge|edad|età|idade|leeftijd|patient age"},
	{entity: NRP, what: "Nationality, religion or political group.", holds: "As for PERSON, or the text of a field whose name says so.", size: 64,
		hints: "nationality|nationalities|citizenship|religion|religious|ethnicity|ethnic|race|political|politics|political party|party affiliation|political affiliation|political views|faith|denomination|staatsangehörigkeit|nationalität|konfession|nationalité|nacionalidad|religión|religião|nacionalidade|nazionalità|religione|nationaliteit|tribe|caste|sexual orientation"},
	{entity: Title, what: "Form of address.", holds: "The text of a field whose name says so.", size: 32,
		hints: "salutation|honorific|name prefix|prefix name|anrede|civilité|tratamiento|courtesy title|honorific prefix|name title"},
}

// contact is how somebody is reached.
var contact = []recogniser{
	{entity: Email, what: "E-mail address.", holds: "RFC 5321 lengths, a dotted domain with an alphabetic top level; international names as they are written.", size: 320,
		hints: "email|e mail|mail|mailto|email address|emailaddress|contact email|correo|correo electrónico|courriel|emails"},
	{entity: Phone, what: "Telephone number.", holds: "In the number plan of its country code, or of one of the regions where it has none. Loose digits need a field's name or a word that says so.", size: 64,
		hints: "phone|phones|phonenumber|phone number|telephone|telephones|tel|tél|mobile|mobilephone|mobile number|cell|cellphone|cell phone|fax|whatsapp|sms|msisdn|landline|home phone|work phone|call|called|calling|dial|text me|reach me|reach|ring|contact|contact number|contact no|my number|telefon|telefonnummer|handy|handynummer|mobil|mobilnummer|rufnummer|meine nummer|nummer ist|telefono|teléfono|celular|móvil|movil|mi número|llámame|llame|numéro de téléphone|téléphone|telephone number|portable|mon numéro|appeler|telefone|celular|telemóvel|meu número|cellulare|il mio numero|telefoonnummer|telefoon|mobiel|gsm|puhelin|telefonnummer|mobiltelefon|número de teléfono|numer telefonu|telefonu|komórka|телефон|тел|電話|电话|電話番号|手机|call me|hotline|direct line|extension|office number|emergency contact number|ph|ph no|phone no|contacts|caller|callee|dialed|answering|answer|tel no|recipient number|sender number"},
	{entity: Username, what: "User name.", holds: "One word in a field whose name says so, or the user in a URL.", size: 64,
		hints: "username|user name|userid|user id|userlogin|login|login name|loginname|user handle|handle|screen name|screenname|nickname|nick|account name|accountname|benutzername|nom d'utilisateur|identifiant|usuario|nombre de usuario|utente|nome utente|gebruikersnaam|twitter|github user|skype|telegram|instagram|usr|sam account name|principal name"},
	{entity: StreetAddress, what: "Street address.", holds: "The text of a field whose name says so.", size: 160,
		hints: "address|street|street address|streetaddress|address line|addressline|home address|homeaddress|mailing address|postal address|billing address|shipping address|delivery address|residence|straße|strasse|anschrift|adresse|wohnadresse|rue|dirección|direccion|domicilio|calle|endereço|endereco|logradouro|indirizzo|via indirizzo|adres|straat|ulica|adress|osoite|住所|地址|address1|addr line|addr1"},
	{entity: ZIPCode, what: "Postcode.", holds: "Three to ten letters and digits in a field whose name says so.", size: 10,
		hints: "zip|zipcode|zip code|postcode|post code|postal code|postalcode|postal|plz|postleitzahl|code postal|codepostal|código postal|codigo postal|cep|cap|pincode|pin code postal|postnummer|kod pocztowy|eircode|postcodes|zip postal"},
}

// secrets are what opens something: they have code of their own in secret.go,
// provider.go and value.go.
var secrets = []recogniser{
	{entity: JWT, what: "JSON Web Token.", holds: "Three parts, and the header decodes to an object with alg (RFC 7519).", size: maxToken},
	{entity: PrivateKey, what: "Private key.", holds: "PEM block (RFC 7468). One without an end is found to its bound. PGP and PuTTY keys, and age secret keys too.", size: maxPEM},
	{entity: APIKey, what: "Key or token of a service.", holds: "The prefix, length and characters of its provider, and the checksum where there is one (GitHub, npm); or a random value in a field whose name says so, and in Authorization headers.", size: maxToken,
		hints:  "secret|secrets|token|tokens|access token|accesstoken|api key|apikey|api token|apitoken|access key|accesskey|secret key|secretkey|auth token|authtoken|auth key|authkey|client secret|clientsecret|private token|signing key|signing secret|encryption key|master key|webhook secret|session token|refresh token|id token|bearer|bearer token|credential|credentials|creds|x api key|authorization|api secret|app secret|consumer secret|consumer key|shared secret|account key|storage key|shared access key|shared access signature|deploy key|license key|personal access token|user auth|private key id secret|app key|service key|integration key|publishable key|pub key|pubkey token|webhook|otp secret|totp secret|seed phrase|mnemonic|api id key|oauth|oauth token|csrf token|xsrf token|jwt",
		shared: "key|auth|access|pass|session|session id|sessionid|sid|cookie|sig|signature|hmac|api|verification token|client id|public key"},
	{entity: Password, what: "Password.", holds: "The value of a field whose name says so, the password in a URL (RFC 3986, 3.2.1), basic credentials, or a word with digits after a word that says so.", size: 256,
		hints: "password|passwords|passwd|pwd|passphrase|pass phrase|passcode|pass code|kennwort|passwort|mot de passe|motdepasse|mdp|contraseña|contrasena|clave|senha|wachtwoord|hasło|haslo|lösenord|adgangskode|salasana|пароль|密码|パスワード|userpassword|user password|db password|dbpassword|root password|admin password|temp password|new password|old password|login password|wifi password|pw|db pass|pass|smtp pass|smtp password|sudo password|user pass"},
}
