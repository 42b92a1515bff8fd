// Validates a certificate as a Java program does that insists on OCSP, or on CRLs: PKIX path
// validation with the revocation checker of the JDK. Prints one line.
//
//   java CheckRevocation.java CHAIN.pem ROOT.pem [crl]     the chain begins with the certificate
import java.io.FileInputStream;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

public class CheckRevocation {
    public static void main(String[] files) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        X509Certificate root;
        try (FileInputStream in = new FileInputStream(files[1])) {
            root = (X509Certificate) factory.generateCertificate(in);
        }
        List<Certificate> chain = new ArrayList<>();
        try (FileInputStream in = new FileInputStream(files[0])) {
            for (Certificate certificate : factory.generateCertificates(in)) {
                if (!certificate.equals(root)) {
                    chain.add(certificate);
                }
            }
        }
        CertPath path = factory.generateCertPath(chain);
        CertPathValidator validator = CertPathValidator.getInstance("PKIX");
        PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        // One or the other: nothing instead of it, and no answer is no good answer.
        EnumSet<PKIXRevocationChecker.Option> options = EnumSet.of(PKIXRevocationChecker.Option.NO_FALLBACK);
        if (files.length > 2 && files[2].equals("crl")) {
            // Fetched from the URLs in the certificates, delta CRLs too.
            System.setProperty("com.sun.security.enableCRLDP", "true");
            options.add(PKIXRevocationChecker.Option.PREFER_CRLS);
            options.add(PKIXRevocationChecker.Option.ONLY_END_ENTITY);
        }
        checker.setOptions(options);
        PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
        parameters.addCertPathChecker(checker);
        try {
            validator.validate(path, parameters);
            System.out.println("valid");
        } catch (CertPathValidatorException refused) {
            System.out.println("refused at " + refused.getIndex() + ": " + refused.getReason());
            System.out.println(refused);
            System.exit(1);
        }
    }
}
