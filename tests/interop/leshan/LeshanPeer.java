// A LwM2M server on Leshan's libraries that does what its standard input says, one line a request, and tells what
// happens on its standard output: java -cp 'DIRECTORY/*' LeshanPeer.java PORT, for CoAP over UDP; over DTLS with more: the
// length of its Connection ID (- = none), the device's endpoint name, and psk with identity and key, rpk with the device's
// and the server's public key and the server's private key, or x509 with the authority's and the server's certificate and
// the server's private key, octets in hex.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.ByteArrayInputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Collection;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.DiscoverRequest;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ObserveCompositeRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadCompositeRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.SendRequest;
import org.eclipse.leshan.core.request.WriteCompositeRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.core.response.ReadCompositeResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.model.VersionedModelProvider;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.eclipse.leshan.server.send.SendListener;
import org.eclipse.leshan.servers.security.InMemorySecurityStore;
import org.eclipse.leshan.servers.security.SecurityInfo;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coaps.CoapsServerProtocolProvider;

public class LeshanPeer {
    static volatile Registration device;

    public static void main(String[] args) throws Exception {
        boolean isSecured = args.length > 1;
        var endpoints = new CaliforniumServerEndpointsProvider.Builder(new CoapServerProtocolProvider(), new CoapsServerProtocolProvider());
        Configuration configuration = endpoints.createDefaultConfiguration();
        if (isSecured && !args[1].equals("-")) configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, Integer.parseInt(args[1]));
        endpoints.setConfiguration(configuration);
        endpoints.addEndpoint(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), isSecured ? Protocol.COAPS : Protocol.COAP);
        var builder = new LeshanServerBuilder();
        if (isSecured) secure(builder, args);
        builder.setEndpointsProviders(endpoints.build());
        builder.setObjectModelProvider(new VersionedModelProvider(ObjectLoader.loadAllDefault()));
        LeshanServer server = builder.build();
        server.getRegistrationService().addListener(new Registrations());
        server.getObservationService().addListener(new Notifications());
        server.getSendService().addListener(new Reports());
        server.start();
        say("ready");
        var input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) say("answer " + perform(server, line.split(" ", 3)));
        server.destroy();
        System.exit(0);
    }

    static void secure(LeshanServerBuilder builder, String[] args) throws Exception {
        var store = new InMemorySecurityStore();
        builder.setSecurityStore(store);
        if (args[3].equals("psk")) {
            store.add(SecurityInfo.newPreSharedKeyInfo(args[2], args[4], octets(args[5])));
            return;
        }
        KeyFactory keys = KeyFactory.getInstance("EC");
        builder.setPrivateKey(keys.generatePrivate(new PKCS8EncodedKeySpec(octets(args[6]))));
        if (args[3].equals("rpk")) {
            PublicKey device = keys.generatePublic(new X509EncodedKeySpec(octets(args[4])));
            store.add(SecurityInfo.newRawPublicKeyInfo(args[2], device));
            builder.setPublicKey(keys.generatePublic(new X509EncodedKeySpec(octets(args[5]))));
            return;
        }
        store.add(SecurityInfo.newX509CertInfo(args[2]));
        builder.setTrustedCertificates(new X509Certificate[] {certificate(args[4])});
        builder.setCertificateChain(new X509Certificate[] {certificate(args[5])});
    }

    static byte[] octets(String hex) {
        return HexFormat.of().parseHex(hex);
    }

    static X509Certificate certificate(String hex) throws Exception {
        return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(octets(hex)));
    }

    static String perform(LeshanServer server, String[] words) {
        try {
            LwM2mPath path = words[1].startsWith("/") ? new LwM2mPath(words[1]) : LwM2mPath.ROOTPATH;
            LwM2mResponse response = switch (words[0]) {
                case "read" -> server.send(device, new ReadRequest(words[1]), 20_000);
                case "observe" -> server.send(device, new ObserveRequest(words[1]), 20_000);
                case "discover" -> server.send(device, new DiscoverRequest(words[1]), 20_000);
                case "execute" -> server.send(device, new ExecuteRequest(words[1]), 20_000);
                case "write" -> server.send(device, write(path, words[2]), 20_000);
                case "compose" -> server.send(device, new ReadCompositeRequest(format(words[1]), format(words[1]), words[2].split(" ")), 20_000);
                case "attend" -> server.send(device, new ObserveCompositeRequest(format(words[1]), format(words[1]), words[2].split(" ")), 20_000);
                case "settle" -> server.send(device, new WriteCompositeRequest(format(words[1]), values(words[2])), 20_000);
                case "push" -> server.send(device, push(path, words[2]), 60_000);
                default -> throw new IllegalArgumentException(words[0]);
            };
            if (response == null) return "timeout";
            String code = response.getCode().getCode() / 100 + "." + String.format("%02d", response.getCode().getCode() % 100);
            if (response instanceof ReadCompositeResponse several && several.isSuccess()) return code + " " + texts(several.getContent());
            return response instanceof ReadResponse read && read.isSuccess() ? code + " " + text(read.getContent()) : code;
        } catch (Exception error) {
            return "error " + error;
        }
    }

    static ContentFormat format(String name) {
        return name.equals("json") ? ContentFormat.SENML_JSON : ContentFormat.SENML_CBOR;
    }

    /** "/3/0/14=+01:00 /3/0/15=UTC" */
    static Map<String, Object> values(String words) {
        var values = new TreeMap<String, Object>();
        for (String word : words.split(" ")) values.put(word.split("=")[0], word.split("=")[1]);
        return values;
    }

    static String texts(Map<LwM2mPath, LwM2mNode> nodes) {
        var values = new TreeMap<String, String>();
        nodes.forEach((path, node) -> values.put(path.toString(), node == null ? "nothing" : text(node)));
        return values.toString();
    }

    static WriteRequest write(LwM2mPath path, String text) {
        return new WriteRequest(ContentFormat.TEXT, path.getObjectId(), path.getObjectInstanceId(), path.getResourceId(), text);
    }

    static WriteRequest push(LwM2mPath path, String file) throws Exception {
        byte[] image = Files.readAllBytes(Path.of(file));
        return new WriteRequest(ContentFormat.OPAQUE, path.getObjectId(), path.getObjectInstanceId(), path.getResourceId(), image);
    }

    static String text(LwM2mNode node) {
        if (node instanceof LwM2mSingleResource single) return String.valueOf(single.getValue());
        if (node instanceof LwM2mMultipleResource multiple) {
            var values = new TreeMap<Integer, Object>();
            multiple.getInstances().forEach((id, instance) -> values.put(id, instance.getValue()));
            return values.values().toString();
        }
        if (node instanceof LwM2mObjectInstance instance) {
            var values = new TreeMap<Integer, String>();
            instance.getResources().forEach((id, resource) -> values.put(id, text(resource)));
            return values.toString();
        }
        return node.toString();
    }

    static synchronized void say(String line) {
        System.out.println(line.replace('\n', ' '));
        System.out.flush();
    }

    static class Registrations implements RegistrationListener {
        public void registered(Registration now, Registration before, Collection<Observation> observations) {
            device = now;
            say("registered " + now.getEndpoint() + " " + now.getLwM2mVersion() + " " + now.getSupportedVersion(5));
        }

        public void updated(RegistrationUpdate update, Registration now, Registration before) {
            device = now;
            say("updated " + now.getEndpoint());
        }

        public void unregistered(Registration was, Collection<Observation> observations, boolean expired, Registration now) {
            say("unregistered " + was.getEndpoint());
        }
    }

    static class Notifications implements ObservationListener {
        public void newObservation(Observation observation, Registration registration) {}

        public void cancelled(Observation observation) {}

        public void onResponse(SingleObservation observation, Registration registration, ObserveResponse response) {
            say("notified " + observation.getPath() + " " + text(response.getContent()));
        }

        public void onResponse(CompositeObservation observation, Registration registration, ObserveCompositeResponse response) {
            say("notified " + texts(response.getContent()));
        }

        public void onError(Observation observation, Registration registration, Exception error) {
            say("failed " + error);
        }
    }

    static class Reports implements SendListener {
        public void dataReceived(Registration registration, TimestampedLwM2mNodes data, SendRequest request) {
            var values = new TreeMap<String, String>();
            data.getMostRecentNodes().forEach((path, node) -> values.put(path.toString(), text(node)));
            say("sent " + values);
        }

        public void onError(Registration registration, String message, Exception error) {
            say("failed " + message);
        }
    }
}
