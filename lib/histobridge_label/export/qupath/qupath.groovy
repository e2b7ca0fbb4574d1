// Axons and myelin of a hand-off of histobridge in QuPath (0.4 or newer): import them, correct them, export them.
//
// 1. Make a project and add the images of the hand-off to it (sub-*/micr/*.png, without _seg-... and _uncertainty).
// 2. Open this script in the script editor (Automate > Script editor) and choose Run > Run for project.
// 3. Correct the annotations; class every new one as Axon or Myelin. Save each image (File > Save).
// 4. Write "export" in the next line, and run the script for the project again: the folder `corrected` of the project
//    then holds what `histobridge import HANDOFF CORRECTED` reads.

def task = "import"

def classes = [Axon: makeRGB(230, 159, 0), Myelin: makeRGB(0, 114, 178)].collect { name, colour ->
    qupath.lib.objects.classes.PathClass.fromString(name, colour)
}
def image = new File(getCurrentServer().getURIs()[0])  // labels lie beside the image, with its name in front
def stem = image.name.replaceFirst(/\.[^.]+$/, "")
def polygons = new File(image.parentFile, stem + "_fibres.geojson")

if (!polygons.exists()) {
    println "No labels beside ${image}: it is left as it is."
} else if (task == "import" && getAnnotationObjects()) {
    println "${stem} has annotations, which may be corrected: remove them to import its labels again."
} else if (task == "import") {
    getProject().setPathClasses(classes)
    def sidecar = new groovy.json.JsonSlurper().parse(new File(image.parentFile, stem + ".json"))
    setPixelSizeMicrons(sidecar.PixelSize[1], sidecar.PixelSize[0])  // x, y
    importObjectsFromFile(polygons.path)
    println "Imported ${getAnnotationObjects().size()} areas of ${stem}."
} else {
    def folder = buildFilePath(PROJECT_BASE_DIR, "corrected")
    mkdirs(folder)
    exportObjectsToGeoJson(getAnnotationObjects(), buildFilePath(folder, polygons.name), "FEATURE_COLLECTION")
    println "Exported ${getAnnotationObjects().size()} areas of ${stem}."
}
